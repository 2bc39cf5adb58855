"""Genuine and impostor scores, sorted once: every operating point of the ROC is then a binary search away.

The full ROC of N scores has up to N points; for the 15.7 million comparisons of IJB-C nobody needs them all. Sorting in
the scores' own type takes a second and no memory beyond a copy, and every figure is exact, ties included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.checks import scores_and_labels


@dataclass(frozen=True)
class TarAtFar:
    """One operating point: the largest TAR whose FAR does not exceed the target.

    Attributes:
        target: the FAR asked for. far: the FAR achieved (<= target). tar: true accept rate; FNMR is 1 - tar.
        threshold: accept where score >= threshold (infinite when nothing may be accepted).
        genuine, impostors: counts of comparisons. false_accepts: impostors accepted.
    """

    target: float
    far: float
    tar: float
    threshold: float
    genuine: int
    impostors: int
    false_accepts: int

    @property
    def reliable(self) -> bool:
        """Whether at least ten impostors stand behind the target (target x impostors >= 10)."""
        return self.target * self.impostors >= 10 - 1e-9


@dataclass(frozen=True)
class SortedScores:
    """Scores of one method, ascending; made by :func:`sort_scores`.

    Attributes:
        genuine: (G,), impostor: (I,), neither empty. Higher = more likely the same person.
    """

    genuine: NDArray[np.floating]
    impostor: NDArray[np.floating]

    def rates(self, threshold: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(FAR, TAR) when ``score >= threshold`` accepts; any shape."""
        wanted = np.asarray(threshold)
        cut = wanted.astype(self.genuine.dtype)
        cut = np.where(cut < wanted, np.nextafter(cut, np.inf, dtype=cut.dtype), cut)  # a score below stays below
        far = 1.0 - np.searchsorted(self.impostor, cut, "left") / len(self.impostor)
        tar = 1.0 - np.searchsorted(self.genuine, cut, "left") / len(self.genuine)
        return far, tar

    def tar_at_far(self, target: float) -> TarAtFar:
        """See :func:`faceunc.metrics.verification.tar_at_far`."""
        if not 0.0 <= target <= 1.0:
            raise ValueError(f"target must be in [0, 1]. Got {target} instead.")
        count = len(self.impostor)
        allowed = int(target * count * (1 + 1e-12))
        if allowed >= count:
            threshold = min(self.genuine[0], self.impostor[0])
        else:
            threshold = self._next_above(self.impostor[count - 1 - allowed])
        false, true = self._accepts(threshold)
        tar = true / len(self.genuine)
        return TarAtFar(target, false / count, tar, float(threshold), len(self.genuine), count, false)

    def equal_error_rate(self) -> float:
        """See :func:`faceunc.metrics.verification.equal_error_rate`."""
        threshold = max(self._last_with_far_above_fnmr(side) for side in (self.genuine, self.impostor))
        far, gap = self._far_and_gap(threshold)
        if gap == 0:
            return far
        far_before, gap_before = self._far_and_gap(self._next_above(threshold))
        return far_before + (far - far_before) * gap_before / (gap_before - gap)

    def _accepts(self, threshold: np.floating) -> tuple[int, int]:
        """How many impostor and how many genuine scores are accepted."""
        false, true = (len(s) - int(np.searchsorted(s, threshold, "left")) for s in (self.impostor, self.genuine))
        return false, true

    def _far_and_gap(self, threshold: np.floating) -> tuple[float, int]:
        """FAR; and FAR - FNMR over a common denominator, an exact integer (rises as the threshold falls)."""
        false, true = self._accepts(threshold)
        genuine, impostors = len(self.genuine), len(self.impostor)
        return false / impostors, false * genuine - (genuine - true) * impostors

    def _last_with_far_above_fnmr(self, values: NDArray[np.floating]) -> np.floating:
        """The highest of the ascending ``values`` at which FAR >= FNMR; -inf when there is none."""
        low, high = 0, len(values)  # the wanted position + 1 lies in low..high
        while low < high:
            middle = (low + high) // 2
            if self._far_and_gap(values[middle])[1] >= 0:
                low = middle + 1
            else:
                high = middle
        return values[low - 1] if low else values.dtype.type(-np.inf)

    def _next_above(self, value: np.floating) -> np.floating:
        """The smallest observed score above ``value``; inf when there is none."""
        after = [side[np.searchsorted(side, value, "right") :] for side in (self.genuine, self.impostor)]
        return min((side[0] for side in after if len(side)), default=value.dtype.type(np.inf))

    def curve(self, points: int = 2000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(FAR, TAR) at exact points of the ROC, all or about ``points`` of them, dense at low FAR; FAR rises."""
        count = len(self.impostor)
        few = count <= points
        ranks = np.arange(1, count + 1) if few else np.unique(np.geomspace(1, count, points).round().astype(np.int64))
        return self.rates(self.impostor[count - ranks])


def sort_scores(scores: ArrayLike, same: ArrayLike) -> SortedScores:
    """Split by label and sort. scores, same: (P,).

    Raises:
        ValueError: not finite, or one label is missing.
    """
    values, labels = scores_and_labels(scores, same)
    return SortedScores(np.sort(values[labels]), np.sort(values[~labels]))
