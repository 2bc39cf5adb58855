"""Comparisons that decisions rest on: scored by a calibrator that had not seen their people."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Reference:
    """P comparisons of held-out people.

    Attributes:
        log_odds, similarity: float32 (P,). poorer: float32 (P,), sigma of the less certain side.
        same: bool (P,). clean: bool (P,), two single photographs of ordinary quality.
        first_subject, second_subject: int32 (P,), numbers without a name.
    """

    log_odds: Floats
    similarity: Floats
    poorer: Floats
    same: Bools
    clean: Bools
    first_subject: Ints
    second_subject: Ints

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name).shape != (len(self.log_odds),):
                raise ValueError(f"{field.name} must be ({len(self.log_odds)},).")

    def __len__(self) -> int:
        return len(self.log_odds)

    def __getitem__(self, rows: NDArray[np.generic]) -> Reference:
        return Reference(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})
