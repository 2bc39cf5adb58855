"""The operating point of weighted comparisons, for :func:`faceunc.metrics.rejection.edc_rechosen`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceunc.metrics.values import Bools, Floats


class WeightedPoint(NamedTuple):
    """FNMR, expected counts of genuine and impostor comparisons, threshold (inf: accept nothing) and FAR achieved."""

    fnmr: float
    genuine: float
    impostors: float
    threshold: float
    far: float


def kept_weights(size: NDArray[np.int64], share: float) -> Floats:
    """The weight in [0, 1] at which each level stays when ``share`` of all items goes, the first levels first.

    ``size``: (L,) members per level. Levels are 0 up to the one at which the share is met, that one in part.
    """
    gone = share * float(size.sum())
    gone = round(gone) if abs(gone - round(gone)) < 1e-9 else gone
    return np.asarray(1.0 - np.clip((gone - (np.cumsum(size) - size)) / size, 0.0, 1.0), dtype=np.float64)


def operating_point(scores: Floats, same: Bools, kept: Floats, target_far: float) -> WeightedPoint:
    """The largest weighted TAR whose weighted FAR does not exceed the target; equal scores are accepted together.

    Args:
        scores: (P,) DESCENDING. same: (P,). kept: (P,) weights as :func:`kept_weights` gives them.

    Raises:
        ValueError: the weights leave no genuine or no impostor comparison.
    """
    ends = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    genuine, impostors = _accepted(same, kept, ends), _accepted(~same, kept, ends)
    true_all, false_all = float(genuine[-1]), float(impostors[-1])
    if not (true_all > 0 and false_all > 0):
        left = f"{true_all:g} genuine and {false_all:g} impostor"
        raise ValueError(f"comparisons of both kinds must remain after the discard. Got {left} instead.")
    best = int(np.searchsorted(impostors, target_far * false_all * (1 + 1e-12), side="right")) - 1
    total = genuine + impostors
    best = int(np.searchsorted(total, total[best]))  # the first that accepts as much: its score is one that remains
    threshold = float(scores[ends[best - 1]]) if best else float("inf")
    fnmr, far = 1.0 - float(genuine[best]) / true_all, float(impostors[best]) / false_all
    return WeightedPoint(fnmr, true_all, false_all, threshold, far)


def _accepted(member: Bools, kept: Floats, ends: NDArray[np.int64]) -> Floats:
    """Expected count of members accepted: at no score first (0), then down to each distinct score (last row: ends).

    One level at most is kept in part. Whole and partial rows are counted apart, as integers, so that nothing is lost.
    """
    part = (kept > 0) & (kept < 1)
    weight = float(kept[part][0]) if part.any() else 0.0
    whole = np.cumsum(member & (kept == 1))[ends]
    return np.append(0.0, whole + weight * np.cumsum(member & part)[ends])
