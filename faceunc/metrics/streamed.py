"""TAR at low FAR over more impostor scores than anybody wants to keep: only the highest ones matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.sorted_scores import TarAtFar


class TopImpostors:
    """The highest ``keep`` of a stream of impostor scores, and the count of all. Exact, in O(keep) memory."""

    def __init__(self, keep: int) -> None:
        if keep < 1:
            raise ValueError(f"keep must be at least 1. Got {keep} instead.")
        self.keep, self.count = keep, 0
        self._top: NDArray[np.floating] = np.empty(0, np.float32)

    def add(self, scores: ArrayLike) -> None:
        """Take the next block, any shape. Raises ValueError for scores that are not finite."""
        values = np.asarray(scores).ravel()
        if not np.isfinite(values).all():
            raise ValueError(f"scores must be finite. Got {int((~np.isfinite(values)).sum())} NaN or infinite values.")
        self.count += len(values)
        if len(self._top) == self.keep:
            values = values[values > self._top.min()]
        merged = np.concatenate([self._top, values]) if len(self._top) else values.copy()
        excess = len(merged) - self.keep
        self._top = np.partition(merged, excess)[excess:] if excess > 0 else merged

    def tar_at_far(self, genuine: ArrayLike, target: float) -> TarAtFar:
        """The conservative operating point; see :func:`faceunc.metrics.verification.tar_at_far`.

        The threshold is the lowest genuine score above the impostor that may not be accepted (inf when there is none).

        Raises:
            ValueError: a target that needs more impostors than were kept, or no scores.
        """
        scores = np.asarray(genuine)
        if scores.ndim != 1 or not scores.size or not np.isfinite(scores).all():
            raise ValueError(f"genuine must be (G,), G >= 1, finite. Got {scores.shape} instead.")
        allowed = int(target * self.count * (1 + 1e-12))
        if not self.count:
            raise ValueError("impostor scores must have been added. Got none instead.")
        if not 0.0 <= target <= 1.0 or (allowed >= len(self._top) and self.count > len(self._top)):
            raise ValueError(f"target must be in [0, {len(self._top) / self.count:g}). Got {target} instead.")
        everything = allowed >= len(self._top)
        cut = -np.inf if everything else np.sort(self._top)[len(self._top) - 1 - allowed]
        accepted = scores[scores > cut]
        threshold = float(accepted.min()) if len(accepted) else float("inf")
        false = int((self._top >= threshold).sum())
        return TarAtFar(
            target, false / self.count, len(accepted) / len(scores), threshold, len(scores), self.count, false
        )
