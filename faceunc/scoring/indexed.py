"""Millions of comparisons inside one set of embeddings, given as two lists of rows: threads, bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import Embeddings
from faceunc.progress import bar
from faceunc.scoring.all_pairs import mls_matrix
from faceunc.scoring.embedded import SCORES, Score

Floats = NDArray[np.float32]
Ints = NDArray[np.integer]
_TASK = 200_000  # comparisons that a thread takes at once
_BLOCK_BYTES = 128 * 1024  # of one operand: four of them stay in a core's cache


def score_indexed(
    embeddings: Embeddings, first: ArrayLike, second: ArrayLike, score: str = "mls", show: bool | None = False
) -> Floats:
    """Score row ``first[k]`` against row ``second[k]``: float32 (P,), higher = more likely the same person.

    The same numbers as :func:`score_pairs` on gathered rows, up to rounding, without gathering them all. Fastest when
    one of the lists is sorted.

    Args:
        first, second: (P,) positions in ``embeddings``.
        score: any of :data:`SCORES`: "cosine" and "mls" (the paper's form, in nats) have code of their own, others, as
            "vmf", compare gathered blocks.

    Raises:
        ValueError: unknown score, lengths that differ, a variance that the score does not take.
        IndexError: a position outside the embeddings.
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}. Got {score!r} instead.")
    first, second = _positions(first), _positions(second)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"first and second must be (P,) both. Got {first.shape} and {second.shape} instead.")
    for rows in (first, second):
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(embeddings):
            raise IndexError(f"positions must be in 0..{len(embeddings) - 1}")
    own = _OWN.get(score)
    work = own(embeddings) if own else _gathered(embeddings, SCORES[score])
    out = np.empty(len(first), np.float32)
    parts = [slice(start, start + _TASK) for start in range(0, len(first), _TASK)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool, bar(score, len(first), "pair", show=show) as progress:
        for done in pool.map(lambda part: work(first[part], second[part], out[part]), parts):
            progress.update(done)
    return out


def score_all(embeddings: Embeddings, rows: ArrayLike, columns: ArrayLike, score: str = "mls") -> Floats:
    """Score every one of ``rows`` against every one of ``columns``: float32 (R, C); see :func:`score_indexed`."""
    rows, columns = _positions(rows), _positions(columns)
    if score == "cosine":
        product: Floats = embeddings.mean[rows] @ embeddings.mean[columns].T
        return np.clip(product, -1.0, 1.0, out=product)
    if score == "mls":
        return mls_matrix(embeddings[rows], embeddings[columns])
    first, second = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
    return score_indexed(embeddings, first, second, score).reshape(len(rows), len(columns))


def _positions(rows: ArrayLike) -> Ints:
    """Integers; an empty list is none. Raises ValueError for masks, names, fractions."""
    found = np.asarray(rows)
    if found.dtype.kind not in "iu" and found.size:
        raise ValueError(f"positions must be integers. Got {found.dtype} instead.")
    return found if found.size else found.astype(np.int64)


Work = Callable[[Ints, Ints, Floats], int]


def _cosine(embeddings: Embeddings) -> Work:
    mean = np.ascontiguousarray(embeddings.mean)
    rows = max(1, _BLOCK_BYTES // (4 * embeddings.dim))

    def work(first: Ints, second: Ints, out: Floats) -> int:
        a, b = (np.empty((rows, mean.shape[1]), np.float32) for _ in range(2))
        for start in range(0, len(first), rows):
            i, j = first[start : start + rows], second[start : start + rows]
            left, right = _take(mean, i, a), _take(mean, j, b)
            np.clip(np.vecdot(left, right), -1.0, 1.0, out=out[start : start + rows])
        return len(first)

    return work


def _mls(embeddings: Embeddings) -> Work:
    """The formula of :func:`mutual_likelihood_score` with the variances' exponentials taken once for every row."""
    mean, log_var = np.ascontiguousarray(embeddings.mean), embeddings.log_var
    if len(log_var) and (float(log_var.min()) < -80.0 or float(log_var.max()) > 80.0):
        raise ValueError(f"log_var must be in [-80, 80] here. Got {log_var.min()} to {log_var.max()} instead.")
    variance = np.exp(log_var)
    dim, width = mean.shape[1], variance.shape[1]
    rows = max(1, _BLOCK_BYTES // (4 * dim))
    constant = np.float32(0.5 * dim * math.log(2.0 * math.pi))

    def work(first: Ints, second: Ints, out: Floats) -> int:
        a, b = (np.empty((rows, dim), np.float32) for _ in range(2))
        s, t = (np.empty((rows, width), np.float32) for _ in range(2))
        for start in range(0, len(first), rows):
            i, j = first[start : start + rows], second[start : start + rows]
            difference, total = _take(mean, i, a), _take(variance, i, s)
            difference -= _take(mean, j, b)
            total += _take(variance, j, t)
            difference *= difference
            difference /= total
            np.log(total, out=total)
            result = difference.sum(axis=1) + total.sum(axis=1) * np.float32(dim / width)
            np.subtract(np.float32(-0.5) * result, constant, out=out[start : start + rows])
        return len(first)

    return work


def _gathered(embeddings: Embeddings, score: Score) -> Work:
    """Any score, on gathered blocks; larger ones, for every call of torch costs as much as many comparisons."""
    mean, log_var = np.ascontiguousarray(embeddings.mean), np.ascontiguousarray(embeddings.log_var)
    rows = max(1, 16 * _BLOCK_BYTES // (4 * embeddings.dim))

    def side(chosen: Ints) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(mean.take(chosen, axis=0)), torch.from_numpy(log_var.take(chosen, axis=0))

    def work(first: Ints, second: Ints, out: Floats) -> int:
        for start in range(0, len(first), rows):
            part = slice(start, start + rows)
            out[part] = score.compare(*side(first[part]), *side(second[part])).numpy()
        return len(first)

    return work


_OWN: dict[str, Callable[[Embeddings], Work]] = {"cosine": _cosine, "mls": _mls}


def _take(source: Floats, rows: Ints, buffer: Floats) -> Floats:
    """Rows of ``source``, in ``buffer``."""
    return source.take(rows, axis=0, out=buffer[: len(rows)], mode="clip")  # positions were checked: "clip" is quicker
