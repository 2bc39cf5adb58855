"""Do probabilities mean what they say? Expected calibration error, Brier score, negative log-likelihood.

``probability`` (n,) is that of ``outcome`` (n,) being true: of "same person", or of "this decision is right".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import brier_score_loss, log_loss

from faceunc.metrics.values import Bools, Floats, binary, vectors

Equal = Literal["width", "mass"]


@dataclass(frozen=True)
class Reliability:
    """The reliability diagram: B bins that are not empty, by rising probability.

    Attributes:
        probability: (B,) mean probability in the bin. observed: (B,) share of true outcomes. count: (B,) items.
    """

    probability: Floats
    observed: Floats
    count: NDArray[np.int64]


def reliability(probability: ArrayLike, outcome: ArrayLike, bins: int = 15, equal: Equal = "width") -> Reliability:
    """Mean probability and observed share per bin.

    Args:
        probability: (n,) in [0, 1]. outcome: (n,) boolean or 0/1; one class alone is no error.
        equal: "width": bins (i/bins, (i+1)/bins], 0 in the first (Guo et al. 2017, scikit-learn's calibration_curve).
            "mass": bins of n/bins items by rank. Equal probabilities are never split: all go to the bin in which the
            middle of their ranks lies, so that the order of the input changes nothing; bins may then differ in size.

    Raises:
        ValueError: unusable arrays, probabilities outside [0, 1], bins < 1, or an unknown ``equal``.
    """
    p, y = _checked(probability, outcome)
    number = _bin(p, bins, equal)
    order = np.lexsort((y, p))
    count = np.bincount(number, minlength=bins)
    full = count > 0
    mean = np.bincount(number[order], p[order], bins)[full] / count[full]
    return Reliability(mean, np.bincount(number, y, bins)[full] / count[full], count[full])


def expected_calibration_error(
    probability: ArrayLike, outcome: ArrayLike, bins: int = 15, equal: Equal = "width"
) -> float:
    """Mean over items of \\|mean probability - observed share\\| of their bin, in [0, 1]; 0 = calibrated.

    Depends on the bins: state them. Arguments and errors as :func:`reliability`. Source: Naeini et al. 2015.
    """
    found = reliability(probability, outcome, bins, equal)
    return float((found.count * np.abs(found.probability - found.observed)).sum() / found.count.sum())


def brier(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Mean squared difference of probability and outcome (scikit-learn), in [0, 1]; lower = better.

    Raises ValueError for unusable arrays or probabilities outside [0, 1].
    """
    p, y = _checked(probability, outcome)
    return float(brier_score_loss(y, p, pos_label=True))


def nll(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Mean negative log-likelihood in nats (scikit-learn's log_loss); lower = better.

    Probabilities are clipped by 2.2e-16 as scikit-learn does: a certain error costs 36 nats, not infinity.
    Raises ValueError for unusable arrays or probabilities outside [0, 1].
    """
    p, y = _checked(probability, outcome)
    return float(log_loss(y, p, labels=[False, True]))


def _checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[Floats, Bools]:
    """Both (n,); probabilities in [0, 1], in float64."""
    (p,) = vectors(probability=probability)
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"probability must be in [0, 1]. Got {p.min():g} to {p.max():g} instead.")
    return p, binary("outcome", outcome, len(p))


def _bin(p: Floats, bins: int, equal: Equal) -> NDArray[np.int64]:
    """The number of each item's bin, (n,) in 0..bins-1."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Got {bins} instead.")
    if equal == "width":
        return np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], p)
    if equal != "mass":
        raise ValueError(f"equal must be width or mass. Got {equal} instead.")
    _, level, size = np.unique(p, return_inverse=True, return_counts=True)
    end = np.cumsum(size)
    middle_twice = 2 * end - size  # start + end of the level's ranks: whole numbers, hence no rounding
    return np.asarray((bins * middle_twice // (2 * len(p)))[level], dtype=np.int64)
