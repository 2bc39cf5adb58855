"""Predictions with a spread against what came out: coverage of intervals, interval score, CRPS (scoringrules).

All are means over n items, in the unit of the truth (coverage: a share).
"""

from __future__ import annotations

import numpy as np
import scoringrules  # type: ignore[import-untyped]
from numpy.typing import ArrayLike

from faceunc.metrics.values import Floats, inside, vectors


def interval_coverage(lower: ArrayLike, upper: ArrayLike, truth: ArrayLike) -> float:
    """Share of truths within [lower, upper], ends included; to be compared with the nominal level.

    Args:
        lower, upper, truth: (n,) finite, lower <= upper.

    Raises:
        ValueError: unusable arrays, or a lower end above the upper one.
    """
    low, high, actual = _checked(lower, upper, truth)
    return float(((low <= actual) & (actual <= high)).mean())


def interval_score(lower: ArrayLike, upper: ArrayLike, truth: ArrayLike, level: float) -> float:
    """Mean interval score: width + 2 / (1 - level) x the distance by which the truth lies outside. Lower = better.

    ``level``: the nominal coverage, e.g. .9, between 0 and 1. Source: Gneiting & Raftery 2007, section 6.2.
    Raises ValueError as :func:`interval_coverage`, or for another level.
    """
    low, high, actual = _checked(lower, upper, truth)
    inside("level", level, 0.0, 1.0)
    return float(np.mean(scoringrules.interval_score(actual, low, high, 1.0 - level, backend="numpy")))


def crps_normal(mean: ArrayLike, sigma: ArrayLike, truth: ArrayLike) -> float:
    """Mean continuous ranked probability score of normal predictions N(mean, sigma^2). Lower = better.

    Args:
        mean, sigma, truth: (n,) finite, sigma > 0 a standard deviation.

    Raises:
        ValueError: unusable arrays, or a sigma of 0 or less.
    """
    centre, spread, actual = vectors(mean=mean, sigma=sigma, truth=truth)
    if not (spread > 0).all():
        raise ValueError(f"sigma must be above 0. Got {spread.min():g} instead.")
    return float(np.mean(scoringrules.crps_normal(actual, centre, spread, backend="numpy")))


def _checked(lower: ArrayLike, upper: ArrayLike, truth: ArrayLike) -> tuple[Floats, ...]:
    """Lower end, upper end and truth, (n,) each, the ends in order."""
    low, high, actual = vectors(lower=lower, upper=upper, truth=truth)
    if (low > high).any():
        raise ValueError(f"lower must not exceed upper. Got {int((low > high).sum())} such interval(s) instead.")
    return low, high, actual
