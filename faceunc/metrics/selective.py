"""Risk and coverage: the mean loss of what is accepted, when only the most confident items are.

Confidence: higher = surer. Items of one confidence count in expectation over all their orders (see
:func:`faceunc.metrics.rejection.retained_mean`), so that the order of the input changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import auc

from faceunc.metrics.rejection import retained_mean
from faceunc.metrics.values import Floats, between, vectors


@dataclass(frozen=True)
class RiskCoverage:
    """The curve of n points.

    Attributes:
        coverage: (n,) share of items accepted, 1/n, 2/n ... 1. risk: (n,) expected mean loss of the accepted ones.
    """

    coverage: Floats
    risk: Floats


def risk_coverage(loss: ArrayLike, confidence: ArrayLike) -> RiskCoverage:
    """The risk at every coverage.

    Args:
        loss: (n,) finite, 0 or 1 for a classifier's errors, any loss otherwise. confidence: (n,) finite.

    Raises:
        ValueError: empty, of different lengths, NaN or infinite.
    """
    losses, surer = vectors(loss=loss, confidence=confidence)
    risk = retained_mean(losses, surer)[::-1]
    return RiskCoverage(np.arange(1, len(risk) + 1) / len(risk), risk)


def aurc(loss: ArrayLike, confidence: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean of the risk over coverage 1/n, 2/n ... 1. Lower = better.

    Source: Geifman, Uziel & El-Yaniv 2019. Raises ValueError as :func:`risk_coverage`.
    """
    return float(risk_coverage(loss, confidence).risk.mean())


def augrc(loss: ArrayLike, confidence: ArrayLike) -> float:
    """Area under the generalised risk-coverage curve (Traub et al. 2024). Lower = better.

    Generalised risk = sum of the losses of the accepted items / n, n being all items: risk x coverage. The area runs
    from coverage 0 (risk 0) to 1 by trapezoids, which is exact with ties. For 0/1 losses with error rate e it equals
    e (1 - e) (1 - AUROC of "right or wrong") + e^2 / 2; it lies in [e^2 / 2, e - e^2 / 2] and is e / 2 for a
    confidence that tells nothing. Raises ValueError as :func:`risk_coverage`.
    """
    curve = risk_coverage(loss, confidence)
    generalised = np.append(0.0, curve.risk * curve.coverage)
    return float(auc(np.append(0.0, curve.coverage), generalised))


def coverage_at_risk(loss: ArrayLike, confidence: ArrayLike, risk: float) -> float:
    """The largest coverage whose (expected) risk does not exceed ``risk``; 0 when there is none.

    The risk need not rise with coverage: a smaller coverage may exceed ``risk`` all the same. It is chosen on the data
    it is judged on, hence a little optimistic.

    Raises:
        ValueError: unusable arrays, or a risk that is not finite.
    """
    if not np.isfinite(risk):
        raise ValueError(f"risk must be finite. Got {risk} instead.")
    curve = risk_coverage(loss, confidence)
    permitted = np.flatnonzero(curve.risk <= risk + 1e-12 * abs(risk))
    return float(curve.coverage[permitted[-1]]) if len(permitted) else 0.0


def risk_at_coverage(loss: ArrayLike, confidence: ArrayLike, coverage: float) -> float:
    """The risk when at least the share ``coverage`` is accepted: of n items the next whole number, and never none.

    Raises:
        ValueError: unusable arrays, or coverage outside [0, 1].
    """
    between("coverage", coverage, 0.0, 1.0)
    curve = risk_coverage(loss, confidence)
    accepted = max(1, int(np.ceil(coverage * len(curve.risk) - 1e-9)))
    return float(curve.risk[accepted - 1])
