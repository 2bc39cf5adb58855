"""What every 1:1 protocol ends in: pairs of images with labels and folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairProtocol:
    """Comparisons of single images.

    Attributes:
        first, second: image id (``Name/Name_0001.jpg``) of the two sides, P each.
        same: bool (P,), True for a genuine pair.
        fold: int (P,), the fold of each pair, 0-based.
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]

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
        """Every person that appears in a pair of these folds."""
        rows = [row for row, fold in enumerate(self.fold) if int(fold) in folds]
        return {name.split("/")[0] for row in rows for name in (self.first[row], self.second[row])}
