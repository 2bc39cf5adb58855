"""The fused likelihood score on the processor: a block of rows against a block of packed columns.

Compiled by numba when first called (a few seconds, then kept on disk); no compiler need be installed. Everything is
released from Python's lock, so that plain threads share the work. A pair's result depends on the pair alone, not on its
tile, its neighbours or the number of threads, and is the same both ways round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from faceunc.scoring.compiled import compiled
from faceunc.scoring.kernel_terms import BIAS, LN2, add_fractions, log_mantissa, split
from faceunc.scoring.packed import FEW, GROUP, LANES

Floats = NDArray[np.float32]
_ZERO, _ONE = np.float32(0.0), np.float32(1.0)
# Products and sums may be fused; nothing may be reordered.
_fused = compiled(fastmath={"contract", "nsz", "arcp"}, error_model="numpy")
Kernel = Callable[[Floats, Floats, Floats, float, int, Floats], None]


def per_dimension(lanes: int) -> Kernel:
    """Make the kernel for tiles of so many columns: ``kernel(mean, variance, tiles, constant, filled, out)`` sets
    ``out[i, t * lanes + j]`` to the score of row i and column j of tile t.

    mean, variance: (I, D), D a multiple of GROUP, scaled as :mod:`.packed` says. tiles: (T, 2 D lanes), for every
    dimension ``lanes`` means, then as many variances. constant: added to every score.
    filled: dimensions that were added to reach a multiple of GROUP. out: (I, T lanes).
    """
    # Unsigned: numba then needs no test for negative positions, without which the loops would not become vectors.
    l1, l2, l3, l4, l5, l6, l7 = (np.uint64(k * lanes) for k in range(1, 8))

    @_fused
    def kernel(mean: Floats, variance: Floats, tiles: Floats, constant: float, filled: int, out: Floats) -> None:
        rows, dims = mean.shape
        # side by side for the lanes: sum of fractions, mantissa of the product, its exponent
        state = np.empty(4 * lanes, np.float32)
        bias = np.float32(BIAS * (dims // GROUP))
        for t in range(tiles.shape[0]):
            tile = tiles[t]
            for i in range(rows):
                a, s = mean[i], variance[i]
                for j in range(l1):
                    state[j], state[l1 + j], state[l2 + j], state[l3 + j] = _ZERO, _ONE, _ZERO, _ZERO
                for dim in range(0, dims, GROUP):
                    a0, a1, a2, a3 = a[dim], a[dim + 1], a[dim + 2], a[dim + 3]
                    v0, v1, v2, v3 = s[dim], s[dim + 1], s[dim + 2], s[dim + 3]
                    at = np.uint64(2 * lanes * dim)
                    for j in range(l1):
                        o = at + j
                        d0, s0 = a0 - tile[o], v0 + tile[o + l1]
                        d1, s1 = a1 - tile[o + l2], v1 + tile[o + l3]
                        d2, s2 = a2 - tile[o + l4], v2 + tile[o + l5]
                        d3, s3 = a3 - tile[o + l6], v3 + tile[o + l7]
                        n01, s01 = add_fractions(d0 * d0, s0, d1 * d1, s1)
                        n23, s23 = add_fractions(d2 * d2, s2, d3 * d3, s3)
                        n, product = add_fractions(n01, s01, n23, s23)
                        term = n / product - state[l3 + j]
                        total = state[j] + term
                        state[l3 + j] = (total - state[j]) - term
                        state[j] = total
                        mantissa, exponent = split(state[l1 + j] * product)
                        state[l1 + j] = mantissa
                        state[l2 + j] += exponent
                result = out[i, t * lanes : (t + 1) * lanes]
                for j in range(l1):
                    logs = np.float64(log_mantissa(state[l1 + j])) + np.float64(state[l2 + j] - bias) * LN2
                    result[j] = np.float32(constant - 0.5 * (np.float64(state[j]) + logs))

    return cast(Kernel, kernel)


def scalar(lanes: int) -> Kernel:
    """The same for one variance a row: ``variance`` (I, 1), ``tiles`` (T, (D + 1) lanes): ``lanes`` means for every
    dimension, last as many variances. The squared distance is summed from differences, not from products of the means,
    so that close pairs keep their digits."""
    l1, l2, l3 = (np.uint64(k * lanes) for k in range(1, 4))

    @_fused
    def kernel(mean: Floats, variance: Floats, tiles: Floats, constant: float, filled: int, out: Floats) -> None:
        rows, dims = mean.shape
        state = np.empty(2 * lanes, np.float32)
        count = np.float64(dims - filled)
        last = l1 * np.uint64(dims)
        for t in range(tiles.shape[0]):
            tile = tiles[t]
            for i in range(rows):
                a, v = mean[i], variance[i, 0]
                for j in range(l1):
                    state[j], state[l1 + j] = _ZERO, _ZERO
                for dim in range(0, dims, GROUP):
                    a0, a1, a2, a3 = a[dim], a[dim + 1], a[dim + 2], a[dim + 3]
                    at = np.uint64(lanes * dim)
                    for j in range(l1):
                        o = at + j
                        d0, d1, d2, d3 = a0 - tile[o], a1 - tile[o + l1], a2 - tile[o + l2], a3 - tile[o + l3]
                        term = (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3) - state[l1 + j]
                        total = state[j] + term
                        state[l1 + j] = (total - state[j]) - term
                        state[j] = total
                result = out[i, t * lanes : (t + 1) * lanes]
                for j in range(l1):
                    total = v + tile[last + j]
                    mantissa, exponent = split(total)
                    logs = count * (np.float64(log_mantissa(mantissa)) + np.float64(exponent - np.float32(BIAS)) * LN2)
                    result[j] = np.float32(constant - 0.5 * (np.float64(state[j]) / np.float64(total) + logs))

    return cast(Kernel, kernel)


mls_per_dimension, mls_scalar = per_dimension(LANES), scalar(LANES)
"""For whole blocks."""
few_per_dimension, few_scalar = per_dimension(FEW), scalar(FEW)
"""For columns that are gathered one by one. A pair has the same score from either: the tests hold it, on each machine
that they run on."""
