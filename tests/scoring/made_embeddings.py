"""Embeddings for the tests of scores, and the likelihood score by numpy in float64 as their oracle."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.scoring.all_pairs import mls_blocks

Doubles = NDArray[np.float64]


def made(count: int, dim: int, width: int, low: float, high: float, seed: int) -> Embeddings:
    """Unit vectors, log variances uniform between the logarithms of ``low`` and ``high``."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(count, dim))
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    log_var = rng.uniform(math.log(low), math.log(high), size=(count, width))
    return Embeddings(mean.astype(np.float32), log_var.astype(np.float32), [str(i) for i in range(count)])


def oracle(first: Embeddings, second: Embeddings) -> tuple[Doubles, Doubles]:
    """(scores, sum of the magnitudes of their terms), (N, M), float64."""
    a, b = first.mean.astype(np.float64)[:, None], second.mean.astype(np.float64)[None]
    v = np.exp(first.log_var.astype(np.float64))[:, None] + np.exp(second.log_var.astype(np.float64))[None]
    v = np.broadcast_to(v, (*v.shape[:2], first.dim))
    fractions, logs = 0.5 * ((a - b) ** 2 / v).sum(-1), 0.5 * np.log(v)
    constant = 0.5 * first.dim * math.log(2 * math.pi)
    return -fractions - logs.sum(-1) - constant, fractions + np.abs(logs).sum(-1) + constant


def by_kernels(first: Embeddings, second: Embeddings) -> NDArray[np.float32]:
    """The whole matrix from blocks, which never take the plain formula for being small."""
    out = np.full((len(first), len(second)), np.nan, np.float32)
    for rows, columns, scores in mls_blocks(first, second):
        assert np.isnan(out[rows, columns]).all()
        out[rows, columns] = scores
    return out


def crowd(count: int, dim: int, width: int, seed: int, spread: float = 0.4) -> Embeddings:
    """Noisy copies of 40 directions, with variances that differ from image to image: some hits, many strangers."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(40, dim))
    mean = centres[rng.integers(0, 40, count)] + spread * rng.normal(size=(count, dim))
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    log_var = rng.normal(-7, 0.4, (count, 1)) + rng.normal(0, 0.2, (count, width))
    return Embeddings(mean.astype(np.float32), log_var.astype(np.float32), [str(i) for i in range(count)])
