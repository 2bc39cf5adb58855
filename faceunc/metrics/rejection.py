"""Error versus discard (EDC, also ERC; ISO/IEC 29794-1): what errors remain when the poorest comparisons go.

Quality: higher = better. What is discarded are comparisons (pairs), not images. Two curves are in use and are not to
be confused: :func:`edc_fixed` keeps the threshold of 0% discard (ISO), :func:`edc_rechosen` chooses it anew each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import auc

from faceunc.metrics.values import Floats, between, inside, two_classes, vectors
from faceunc.metrics.weighted import kept_weights, operating_point

FIXED = "FNMR, fixed threshold"
RECHOSEN = "FNMR, threshold re-chosen"


@dataclass(frozen=True)
class DiscardCurve:
    """The error of what remains, for K shares discarded.

    Attributes:
        name: what the error is, "FNMR, fixed threshold" or "FNMR, threshold re-chosen" ("random: ..." before it).
        discarded: (K,) share of comparisons discarded, rising: of the genuine ones (fixed) or of all (re-chosen).
        error: (K,) FNMR of the genuine comparisons that remain.
        genuine, impostors: (K,) expected counts that remain (impostors 0 where only genuine ones are looked at).
        threshold: (K,) accept where score >= threshold (infinite when nothing may be accepted).
        far: (K,) the FAR achieved among the impostors that remain; NaN where none are looked at.
        target_far: the FAR asked for; NaN where the threshold was given.
    """

    name: str
    discarded: Floats
    error: Floats
    genuine: Floats
    impostors: Floats
    threshold: Floats
    far: Floats
    target_far: float


def retained_mean(loss: ArrayLike, quality: ArrayLike) -> Floats:
    """Entry k: the expected mean loss of what remains when the k items of lowest quality are discarded, k = 0..n-1.

    Items of one quality are discarded in random order: the expectation over all orders of them is returned (exactly:
    the count that remains is certain, and each of the tied items is equally likely to be among it), so that the order
    of the input changes nothing.

    Args:
        loss, quality: (n,) finite. Higher quality = better.

    Raises:
        ValueError: empty, of different lengths, NaN or infinite.
    """
    losses, qualities = vectors(loss=loss, quality=quality)
    order = np.lexsort((losses, qualities))
    _, group, size = np.unique(qualities[order], return_inverse=True, return_counts=True)
    expected = (np.bincount(group, losses[order]) / size)[group]
    remaining = np.cumsum(expected[::-1])[::-1]
    return np.asarray(remaining / np.arange(len(losses), 0, -1), dtype=np.float64)


def edc_fixed(genuine_scores: ArrayLike, quality: ArrayLike, threshold: float) -> DiscardCurve:
    """FNMR among the genuine comparisons that remain, the threshold FIXED at the one of 0% discard (ISO/IEC 29794-1).

    Args:
        genuine_scores, quality: (n,), of the genuine comparisons only. threshold: accept where score >= threshold.

    Returns:
        K = n points, 0/n to (n-1)/n discarded. Ties in quality in expectation, see :func:`retained_mean`.

    Raises:
        ValueError: unusable arrays, or a threshold that is NaN.
    """
    scores, qualities = vectors(genuine_scores=genuine_scores, quality=quality)
    if np.isnan(threshold):
        raise ValueError(f"threshold must be a number. Got {threshold} instead.")
    n = len(scores)
    error = retained_mean(scores < np.float64(threshold), qualities)
    left = np.arange(n, 0, -1, dtype=np.float64)
    limits, none = np.full(n, np.float64(threshold)), np.full(n, np.nan)
    return DiscardCurve(FIXED, (n - left) / n, error, left, np.zeros(n), limits, none, float("nan"))


def edc_rechosen(
    scores: ArrayLike, same: ArrayLike, quality: ArrayLike, target_far: float, fractions: ArrayLike
) -> DiscardCurve:
    """FNMR when genuine and impostor comparisons go together, the threshold chosen anew at every step.

    At each step: the largest TAR whose FAR among the remaining impostors does not exceed the target; equal scores are
    accepted together. Of a quality level that is discarded in part, all members stay at the weight 1 - share
    discarded: counts are expected counts, and FAR and FNMR are ratios of expectations (no expectation of ratios).
    A single comparison counts as such a level, so that every fraction is met exactly.

    Args:
        scores, same, quality: (P,), genuine and impostor. target_far: in [0, 1].
        fractions: (K,) shares to discard, rising, in [0, 1).

    Raises:
        ValueError: unusable input, or a fraction that leaves no genuine or no impostor comparison.
    """
    values, qualities = vectors(scores=scores, quality=quality)
    labels = two_classes("same", same, len(values))
    between("target_far", target_far, 0.0, 1.0)
    shares = _fractions(fractions)
    order = np.argsort(-values, kind="stable")
    _, level, size = np.unique(qualities[order], return_inverse=True, return_counts=True)
    ranked, same_ranked = values[order], labels[order]
    points = [
        operating_point(ranked, same_ranked, kept_weights(size, share)[level], target_far) for share in shares.tolist()
    ]
    error, genuine, impostors, threshold, far = np.array(points, dtype=np.float64).T
    return DiscardCurve(RECHOSEN, shares, error, genuine, impostors, threshold, far, float(target_far))


def random_curve(curve: DiscardCurve) -> DiscardCurve:
    """What a quality that tells nothing is expected to give: the error at the first point throughout.

    Counts fall with the share that remains. Raises ValueError unless the curve starts at 0% discard.
    """
    _starts_at_zero(curve)
    left, ones = 1.0 - curve.discarded, np.ones_like(curve.discarded)
    genuine, impostors = curve.genuine[0] * left, curve.impostors[0] * left
    far, threshold = curve.far[0] * ones, curve.threshold[0] * ones
    name, error = f"random: {curve.name}", curve.error[0] * ones
    return replace(curve, name=name, error=error, genuine=genuine, impostors=impostors, threshold=threshold, far=far)


def oracle_quality(errors: ArrayLike) -> Floats:
    """The best quality there can be, (n,): items with the largest error (or a miss, ``score < threshold``) go first."""
    (found,) = vectors(errors=errors)
    return -found


def edc_area(curve: DiscardCurve, limit: float = 0.2) -> float:
    """Area under the error over [0, limit] discarded, divided by limit x error at 0. Lower = better.

    Trapezoids between the points, linear interpolation at the limit. A quality that tells nothing gives about 1, a
    misleading one more; 0 cannot be reached (the error starts at its full height): compare with the oracle's area.

    Raises:
        ValueError: limit not between 0 and 1; a curve that does not start at 0, ends before the limit or is 0 at 0.
    """
    inside("limit", limit, 0.0, 1.0)
    _starts_at_zero(curve)
    x, y = curve.discarded, curve.error
    if x[-1] < limit - 1e-12:
        raise ValueError(f"curve must reach the limit {limit:g}. Got a last point at {x[-1]:g} instead.")
    if not y[0] > 0:
        raise ValueError(f"curve must have an error above 0 at 0% discard. Got {y[0]:g} instead.")
    before = x < limit
    area = auc(np.append(x[before], limit), np.append(y[before], np.interp(limit, x, y)))
    return float(area / (limit * y[0]))


def pair_quality(first: ArrayLike, second: ArrayLike, how: Literal["min", "mean", "product"] = "min") -> Floats:
    """The quality (P,) of pairs from that of their two images (P,): the lower one, the mean or the product.

    Raises:
        ValueError: unusable arrays, an unknown ``how``, or a negative quality with "product".
    """
    one, two = vectors(first=first, second=second)
    if how == "min":
        return np.minimum(one, two)
    if how == "mean":
        return (one + two) / 2.0
    if how != "product":
        raise ValueError(f"how must be min, mean or product. Got {how} instead.")
    lowest = min(float(one.min()), float(two.min()))
    if lowest < 0:
        raise ValueError(f"qualities must be non-negative for the product. Got {lowest:g} instead.")
    return one * two


def _fractions(fractions: ArrayLike) -> Floats:
    """Shares in [0, 1), strictly rising, (K,)."""
    (shares,) = vectors(fractions=fractions)
    if shares[0] < 0 or shares[-1] >= 1 or (np.diff(shares) <= 0).any():
        raise ValueError(f"fractions must rise within [0, 1). Got {shares[:5].tolist()} ... {shares[-1]:g} instead.")
    return shares


def _starts_at_zero(curve: DiscardCurve) -> None:
    """Raise ValueError unless the first point of the curve is at 0% discard."""
    if curve.discarded[0] != 0.0:
        raise ValueError(f"curve must start at 0% discard. Got {curve.discarded[0]:g} instead.")
