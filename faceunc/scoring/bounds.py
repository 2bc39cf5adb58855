"""An upper bound of the likelihood score that is one matrix product: which columns can be among a row's best at all.

With any weights ``c_l > 0``, ``u = var / c`` and ``w = mean / sqrt(c)``, for row i and column j:

* ``sum_l d_l^2 / S_l >= |w_i - w_j|^2 / (max_l u_il + max_l u_jl)``, each denominator being replaced by a larger one;
* ``sum_l log S_l >= D log 2 + (sum_l log var_il + sum_l log var_jl) / 2``: the arithmetic mean of two variances is at
  least their geometric mean.

So ``score >= threshold_i`` implies ``|w_i - w_j|^2 <= (A_i + B_j) (T_i - L_j)``, in which everything depends on i alone
or on j alone: multiplied out it is an inner product of D + 3 numbers against a number of the row. The product is made
in float32; what rounding can do to it, and to the score itself, is added to the row's number, so that no pair is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.scoring.packed import Floats, Scaling

Doubles = NDArray[np.float64]
_SCORE_ERROR = 1e-5  # ten times what the kernels' float32 is measured to do, relative to the terms of a score


@dataclass(frozen=True)
class ColumnBound:
    """J columns, ready to be bounded.

    Attributes:
        weights: c, (D,) or (1,). factors: (J, D + 3). longest: the largest norm of a row of ``factors``.
        centre, largest_log: mean and largest magnitude of half the sums of log variances.
    """

    weights: Floats
    factors: Floats
    longest: float
    centre: float
    largest_log: float


def bound_columns(mean: Floats, variance: Floats, dim: int) -> ColumnBound:
    """Factors of J packed columns, (J, D') and (J, D' or 1); ``dim`` is D before it was filled up.

    Any weights would do; the geometric means of the variances are tight.
    """
    logs = np.log(variance)
    weights = np.exp(logs.mean(0))
    w, largest = _whitened(mean, variance, weights)
    half = _half_sum(logs, _counted(mean, variance, dim))
    centre = float(half.mean())
    last = -(largest * (half - centre) + np.vecdot(w, w))
    factors = np.column_stack([2.0 * w, centre - half, largest, last]).astype(np.float32)
    longest = float(np.sqrt(np.vecdot(factors, factors).max()))
    return ColumnBound(weights, factors, longest, centre, float(np.abs(half).max()))


def bound_rows(
    mean: Floats, variance: Floats, threshold: Floats, scaling: Scaling, columns: ColumnBound
) -> tuple[Floats, Floats]:
    """(factors (I, D + 3), least (I,)): column j can only reach ``threshold`` (I,) of row i when
    ``factors[i] @ columns.factors[j] >= least[i]``."""
    dims, constant = _counted(mean, variance, scaling.dim), scaling.constant
    w, largest = _whitened(mean, variance, columns.weights)
    half = _half_sum(np.log(variance), dims)
    wanted = threshold.astype(np.float64) - constant
    size = np.abs(wanted) + abs(constant) + np.abs(half) + columns.largest_log + dims
    budget = -2.0 * (wanted - _SCORE_ERROR * size) - dims * math.log(2.0) - half - columns.centre
    factors = np.column_stack([w, largest, budget, np.ones(len(w))]).astype(np.float32)
    square, own = np.vecdot(w, w).astype(np.float64), largest * budget
    # Sums of n products in float32 (Higham, Accuracy and Stability, section 3.1), and factors that are rounded
    # themselves; what cancels inside the columns' last factor is carried by _SCORE_ERROR.
    rounding = 2.0 * (dims + 16) * 2.0**-24
    slack = rounding * (np.linalg.norm(factors, axis=1) * columns.longest + square + np.abs(own))
    return factors, (square - own - slack).astype(np.float32)


def _whitened(mean: Floats, variance: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(w (N, D), largest u (N,))."""
    largest: Floats = (variance / weights).max(1)
    return (mean / np.sqrt(weights)).astype(np.float32, copy=False), largest


def _counted(mean: Floats, variance: Floats, dim: int) -> int:
    """Dimensions whose logarithms a kernel adds: added ones count where they have variances of their own."""
    return dim if variance.shape[1] == 1 else mean.shape[1]


def _half_sum(logs: Floats, dims: int) -> Doubles:
    """Half the sum of the log variances over all dimensions, (N,)."""
    return np.asarray(0.5 * logs.sum(1, dtype=np.float64) * (dims / logs.shape[1]))
