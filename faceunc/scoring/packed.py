"""Embeddings laid out for the kernels: scaled so that nothing overflows, columns side by side in tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings

Floats = NDArray[np.float32]
LANES = 128
"""Columns that a tile holds side by side: the inner loops run over them, and the compiler makes vectors of them."""
FEW = 32
"""Columns of a tile that is gathered for a few pairs: it stays in the innermost cache."""
GROUP = 4
"""Dimensions that share a division. Variances are scaled to within 2^-29..2^29 first (:func:`find_scaling`), so that a
product of four sums is a normal float32, between 2^-112 and 2^120."""
_MAX_REACH = 29  # scaled variances lie within 2^-29..2^29
_SCAN = 65_536


@dataclass(frozen=True)
class Scaling:
    """Variances are multiplied by ``4^power``, means by ``2^power``: only exponents change, so the scaling is exact.

    Attributes:
        dim: D. power: whole number.
        constant: what the scores of scaled embeddings lack: ``D power log 2 - D/2 log(2 pi)``.
    """

    dim: int
    power: int
    constant: float

    @property
    def filled(self) -> int:
        """Dimensions that :func:`pack_rows` adds to reach a multiple of GROUP."""
        return -self.dim % GROUP


def find_scaling(first: Embeddings, second: Embeddings) -> Scaling | None:
    """The scaling that centres the variances of both sides; None when they spread over more than 2^58 (or are not
    numbers), so that no scaling makes products of four of them safe."""
    spans = [span for side in (first, second) for span in _spans(side.log_var)]
    if not spans:
        return Scaling(first.dim, 0, -0.5 * first.dim * math.log(2.0 * math.pi))
    low, high = np.min(spans), np.max(spans)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    power = round(-(low + high) / 2.0 / math.log(4.0))
    reach = max(abs(low / math.log(2.0) + 2 * power), abs(high / math.log(2.0) + 2 * power))
    # the largest numerator of a group: four terms d^2 S S S, with d^2 <= 4 before scaling
    if reach > _MAX_REACH or 4 + 2 * power + 3 * (reach + 1) > 126 or power < -60:
        return None
    return Scaling(first.dim, power, first.dim * (power * math.log(2.0) - 0.5 * math.log(2.0 * math.pi)))


def _spans(log_var: Floats) -> Iterator[tuple[float, float]]:
    for start in range(0, len(log_var), _SCAN):
        part = log_var[start : start + _SCAN]
        if part.size:  # NaN is passed over: it stays NaN in the scores
            yield float(np.fmin.reduce(part, axis=None)), float(np.fmax.reduce(part, axis=None))


def pack_rows(side: Embeddings, rows: slice, scaling: Scaling) -> tuple[Floats, Floats]:
    """(mean (I, D'), variance (I, D') or (I, 1)) of these rows, scaled; D' is D filled up to a multiple of GROUP.

    A dimension that is added has mean 0 and variance 1/2, on both sides: S = 1, and it adds 0 to every score; with one
    variance for all dimensions the kernel leaves it out of the count.
    """
    mean = np.asarray(side.mean[rows], np.float32) * np.float32(2.0**scaling.power)
    wide = np.exp(np.asarray(side.log_var[rows], np.float64)) * 4.0**scaling.power
    variance = wide.astype(np.float32)
    if not scaling.filled:
        return mean, variance
    mean = _fill(mean, scaling.filled, 0.0)
    return mean, variance if variance.shape[1] == 1 else _fill(variance, scaling.filled, 0.5)


def _fill(array: Floats, columns: int, value: float) -> Floats:
    return np.pad(array, ((0, 0), (0, columns)), constant_values=np.float32(value))


def pack_tiles(mean: Floats, variance: Floats) -> Floats:
    """Packed rows as the kernels' columns: (T, ...) as they say, T LANES >= len(mean); the last tile is filled up."""
    tiles = -(-len(mean) // LANES)
    mean, variance = _lanes(mean, tiles, 0.0), _lanes(variance, tiles, 0.5)
    if variance.shape[1] == 1:
        return np.concatenate([mean, variance], 1).reshape(tiles, -1)
    return np.stack([mean, variance], 2).reshape(tiles, -1)


def _lanes(array: Floats, tiles: int, value: float) -> Floats:
    """(M, W) -> (T, W, LANES)."""
    full = np.full((tiles * LANES, array.shape[1]), value, np.float32)
    full[: len(array)] = array
    return full.reshape(tiles, LANES, -1).transpose(0, 2, 1)
