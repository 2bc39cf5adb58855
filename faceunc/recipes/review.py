"""What a person should look at first: the comparisons that are most likely decided wrongly, and the worst photographs.

Active learning calls this uncertainty sampling (Lewis & Gale, SIGIR 1994); here the probability of an error comes from
a calibrator that knows how good both photographs were, and not from the score alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.values import between, binary, vectors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def error_probability(probability: ArrayLike, accepted: ArrayLike) -> Floats:
    """Probability that the automatic decision about each of P comparisons is wrong, (P,) in [0, 1].

    Args:
        probability: (P,) of "same person", such as :meth:`faceunc.confidence.Calibrator.probability` gives.
        accepted: (P,) boolean, what was decided.

    Raises:
        ValueError: other lengths, probabilities outside [0, 1], or decisions that are not boolean.
    """
    (p,) = vectors(probability=probability)
    decided = binary("accepted", accepted, len(p))
    between("the least probability", float(p.min()), 0.0, 1.0)
    between("the greatest probability", float(p.max()), 0.0, 1.0)
    return np.where(decided, 1.0 - p, p)


def review_order(probability: ArrayLike, accepted: ArrayLike) -> Ints:
    """Positions of all P comparisons, the most likely error first; equal ones keep their order.

    Arguments and errors as :func:`error_probability`.
    """
    return np.argsort(-error_probability(probability, accepted), kind="stable").astype(np.int64)


def review_photos(error: ArrayLike, first: ArrayLike, second: ArrayLike) -> tuple[Ints, Floats]:
    """Which photographs to look at (or to take again) first: those behind the most expected errors.

    Args:
        error: (P,) from :func:`error_probability`. first, second: (P,) numbers from 0 of the photographs compared.

    Returns:
        (positions (N,), the most expected errors first; expected errors of every photograph (N,)), N the highest
        number + 1. An error counts half for each of the two.

    Raises:
        ValueError: other lengths, or numbers that are no positions.
    """
    (expected,) = vectors(error=error)
    sides = [np.asarray(side) for side in (first, second)]
    for side in sides:
        if side.shape != expected.shape or side.dtype.kind not in "iu" or side.min() < 0:
            raise ValueError(f"first and second must be numbers from 0, {expected.shape}. Got {side.shape} instead.")
    count = int(max(side.max() for side in sides)) + 1
    total = sum(0.5 * np.bincount(side, expected, minlength=count) for side in sides)
    burden = np.asarray(total, np.float64)
    return np.argsort(-burden, kind="stable").astype(np.int64), burden
