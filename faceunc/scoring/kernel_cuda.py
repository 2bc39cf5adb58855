"""The same arithmetic (:mod:`.kernel_terms`) on a CUDA device: one thread a pair, columns transposed so that
neighbouring threads read neighbouring numbers.

Needs a CUDA device and numba's CUDA target; without a device, numba's simulator (NUMBA_ENABLE_CUDASIM=1, set before
numba is imported) interprets the same kernels, slowly: that is how they are tested.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import cuda as numba_cuda
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.errors import InputError
from faceunc.scoring.all_pairs import make_pairs, plain_block, slices
from faceunc.scoring.kernel_terms import BIAS, LN2, add_fractions, log_mantissa, split
from faceunc.scoring.packed import GROUP, Floats, pack_rows

cuda: Any = numba_cuda  # its annotations are partial

_BLOCK = (4, 32)  # threads: rows, columns
_ROWS, _COLUMNS = 4096, 16_384  # pairs of one launch; bounds the memory on the device


def per_dimension(
    mean: Floats, variance: Floats, means: Floats, variances: Floats, constant: float, out: Floats
) -> None:
    """``out[i, j]``: rows (I, D) against columns (D, J); D a multiple of GROUP, scaled as :mod:`.packed` says."""
    i, j = cuda.grid(2)
    if i >= out.shape[0] or j >= out.shape[1]:
        return
    fractions, lost = np.float32(0.0), np.float32(0.0)
    mantissa, exponents = np.float32(1.0), np.float32(0.0)
    for dim in range(0, mean.shape[1], GROUP):
        d0, s0 = mean[i, dim] - means[dim, j], variance[i, dim] + variances[dim, j]
        d1, s1 = mean[i, dim + 1] - means[dim + 1, j], variance[i, dim + 1] + variances[dim + 1, j]
        d2, s2 = mean[i, dim + 2] - means[dim + 2, j], variance[i, dim + 2] + variances[dim + 2, j]
        d3, s3 = mean[i, dim + 3] - means[dim + 3, j], variance[i, dim + 3] + variances[dim + 3, j]
        n01, s01 = add_fractions(d0 * d0, s0, d1 * d1, s1)
        n23, s23 = add_fractions(d2 * d2, s2, d3 * d3, s3)
        n, product = add_fractions(n01, s01, n23, s23)
        term = n / product - lost
        total = fractions + term
        lost = (total - fractions) - term
        fractions = total
        mantissa, exponent = split(mantissa * product)
        exponents += exponent - np.float32(BIAS)
    logs = np.float64(log_mantissa(mantissa)) + np.float64(exponents) * LN2
    out[i, j] = np.float32(constant - 0.5 * (np.float64(fractions) + logs))


def scalar(mean: Floats, variance: Floats, means: Floats, variances: Floats, constant: float, out: Floats) -> None:
    """The same for one variance a row: (I, 1) and (1, J); D as it is, not filled up."""
    i, j = cuda.grid(2)
    if i >= out.shape[0] or j >= out.shape[1]:
        return
    square, lost = np.float32(0.0), np.float32(0.0)
    for dim in range(mean.shape[1]):
        d = mean[i, dim] - means[dim, j]
        term = d * d - lost
        total = square + term
        lost = (total - square) - term
        square = total
    spread = variance[i, 0] + variances[0, j]
    mantissa, exponent = split(spread)
    logs = np.float64(log_mantissa(mantissa)) + np.float64(exponent - np.float32(BIAS)) * LN2
    out[i, j] = np.float32(constant - 0.5 * (np.float64(square) / np.float64(spread) + mean.shape[1] * logs))


def mls_matrix_cuda(first: Embeddings, second: Embeddings) -> NDArray[np.float32]:
    """As :func:`faceunc.scoring.all_pairs.mls_matrix`, on the first CUDA device: (N, M) float32 in host memory.

    Raises:
        InputError: no CUDA device. ValueError: sides of different D.
    """
    if not cuda.is_available():
        raise InputError("mls_matrix_cuda needs a CUDA device (or NUMBA_ENABLE_CUDASIM=1), found none")
    pairs = make_pairs(first, second)
    shared = pairs.rows.log_var.shape[1] == 1
    kernel = cuda.jit(scalar if shared else per_dimension)
    dims = slice(0, first.dim if shared else None)
    out = np.empty((len(first), len(second)), np.float32)
    for columns in slices(len(second), _COLUMNS):
        for rows in slices(len(first), _ROWS):
            if pairs.scaling is None:
                out[rows, columns] = plain_block(pairs.rows, pairs.columns, rows, columns)
                continue
            one, two = pack_rows(pairs.rows, rows, pairs.scaling), pack_rows(pairs.columns, columns, pairs.scaling)
            mean, variance = (cuda.to_device(np.ascontiguousarray(x[:, dims])) for x in one)
            means, variances = (cuda.to_device(np.ascontiguousarray(x[:, dims].T)) for x in two)
            result = cuda.device_array((mean.shape[0], means.shape[1]), np.float32)
            grid = (math.ceil(result.shape[0] / _BLOCK[0]), math.ceil(result.shape[1] / _BLOCK[1]))
            kernel[grid, _BLOCK](mean, variance, means, variances, pairs.scaling.constant, result)
            out[rows, columns] = result.copy_to_host()
    return out
