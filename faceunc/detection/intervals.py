"""Central intervals from sigma, and the factor on sigma that makes them cover what they promise."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from faceunc.detection.features import GROUPS
from faceunc.metrics.intervals import interval_coverage, interval_score

LEVELS = (0.5, 0.68, 0.8, 0.9, 0.95)


def fit_factors(residual: Tensor, log_var: Tensor) -> dict[str, float]:
    """What sigma must be multiplied by, one number a group, so that normal intervals cover :data:`LEVELS` on average.

    Per level the exact factor is a quantile of |residual| / sigma over the normal one; returned is the geometric mean
    over levels. One factor cannot be exact at every level unless the standardised residuals are normal.

    Args:
        residual, log_var: (M, 14), in one unit.

    Raises:
        ValueError: no rows, or residuals that are mostly zero.
    """
    ratio = (residual.double().abs() * torch.exp(-0.5 * log_var.double())).numpy()
    factors = {}
    for name, part in GROUPS.items():
        exact = np.quantile(ratio[:, part], LEVELS) / half_widths()
        if not (exact > 0.0).all():
            raise ValueError("residual must differ from zero. Got mostly zeros instead.")
        factors[name] = float(np.exp(np.log(exact).mean()))
    return factors


def half_widths() -> NDArray[np.float64]:
    """Half of the central normal intervals of :data:`LEVELS`, in sigmas."""
    return np.asarray(norm.ppf(0.5 + np.array(LEVELS) / 2.0), np.float64)


def coverages(residual: NDArray[np.floating], sigma: NDArray[np.floating]) -> dict[str, float]:
    """Share of residuals within the interval of each level, all coordinates together.

    Args:
        residual: truth minus prediction. sigma: of the same shape and unit, positive.
    """
    truth, width = residual.ravel(), sigma.ravel()
    return {
        f"{level:g}": interval_coverage(-z * width, z * width, truth)
        for level, z in zip(LEVELS, half_widths(), strict=True)
    }


def scores(residual: NDArray[np.floating], sigma: NDArray[np.floating]) -> dict[str, float]:
    """Mean interval score of each level, in the residuals' unit; lower = better. Arguments as :func:`coverages`."""
    truth, width = residual.ravel(), sigma.ravel()
    return {
        f"{level:g}": interval_score(-z * width, z * width, truth, level)
        for level, z in zip(LEVELS, half_widths(), strict=True)
    }
