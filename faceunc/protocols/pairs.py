"""What every 1:1 protocol of single images ends in: pairs of images with labels and folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairProtocol:
    """Comparisons of single images (or of videos, where the names are those of videos).

    Attributes:
        first, second: image id (``Name/Name_0001.jpg``) of the two sides, P each.
        same: bool (P,), True for a genuine pair.
        fold: int (P,), the fold of each pair, 0-based.
        first_subject, second_subject: who is on each side, P each; empty when the protocol does not say.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]
    first_subject: tuple[str, ...] = ()
    second_subject: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        sizes = {len(self.second), len(self.same), len(self.fold)}
        subjects = {len(self.first_subject), len(self.second_subject)}
        if sizes != {len(self.first)} or subjects not in ({0}, {len(self.first)}):
            raise ValueError(f"all parts must have {len(self.first)} rows. Got {sorted(sizes | subjects)} instead.")

    def __len__(self) -> int:
        return len(self.first)

    @property
    def images(self) -> list[str]:
        """Every image that is compared, once, sorted."""
        return sorted({*self.first, *self.second})

    @property
    def num_folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    def identities_of_folds(self, folds: set[int]) -> set[str]:
        """Every person that appears in a pair of these folds; empty when the protocol does not name them."""
        rows = [row for row, fold in enumerate(self.fold) if int(fold) in folds]
        return {name for side in (self.first_subject, self.second_subject) if side for name in (side[r] for r in rows)}
