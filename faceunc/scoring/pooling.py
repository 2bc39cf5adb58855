"""Templates of all sizes pooled at once: plain, media-aware, and by inverse variance with every posterior.

Does for hundreds of thousands of images, in blocks and threads, what :mod:`faceunc.scoring.fusion` does for one
template. A medium is a still, or a video of which a template may hold many frames that look alike.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings, concatenate
from faceunc.scoring.fusion import POSTERIORS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
_BLOCK_ELEMENTS = 2_000_000


@dataclass(frozen=True)
class Pooling:
    """One way to make a template of images.

    Attributes:
        weights: "equal", or "inverse variance" (per dimension, as :func:`faceunc.scoring.fuse`).
        media: pool inside each medium first, then over media, so that a long video counts no more than a still.
        posterior: variance of what "inverse variance" fuses, a name of :data:`POSTERIORS`; with ``media`` it is that of
            fusing media. ``within``: the same inside one medium, whose frames are nearly copies of each other.
            With "equal" weights the variance is that of the mean of independent images.
        rho: for "correlated".
    """

    weights: str = "inverse variance"
    media: bool = False
    posterior: str = "bayes"
    within: str = "harmonic"
    rho: float = 0.0

    def __post_init__(self) -> None:
        if self.weights not in ("equal", "inverse variance"):
            raise ValueError(f"weights must be equal or inverse variance. Got {self.weights!r} instead.")
        for name in (self.posterior, self.within):
            if name not in POSTERIORS:
                raise ValueError(f"posterior must be one of {', '.join(POSTERIORS)}. Got {name!r} instead.")
        if not 0.0 <= self.rho <= 1.0:
            raise ValueError(f"rho must be in [0, 1]. Got {self.rho} instead.")


def pool_templates(
    embeddings: Embeddings,
    template: Ints,
    pooling: Pooling,
    media: Ints | None = None,
    weight: NDArray[np.floating] | None = None,
) -> Embeddings:
    """One embedding a template: mean L2-normalised, log_var as wide as the images'.

    Args:
        embeddings: of N images. template: (N,) which template an image belongs to, 0..T-1, each with an image.
        media: (N,) which medium it comes from, for ``pooling.media``; two templates may use the same number.
        weight: (N,) above 0, such as the norm of the raw embedding or the detector's score: a factor of the image's
            embedding ("equal": as insightface multiplies its features), or of its precision ("inverse variance": with
            the posterior "bayes" an image of weight 2 counts as two).

    Returns:
        (T,) embeddings, ids "0".."T-1", the ``meta`` of the images. Memory beyond the result is one block a thread.

    Raises:
        ValueError: shapes that do not fit, a template without image, weights that are not positive, media missing.
    """
    count = _check(embeddings, template, pooling, media, weight)
    keys = (template,) if media is None or not pooling.media else (media, template)
    order = np.lexsort(keys)
    mean, log_var = np.empty((count, embeddings.dim), np.float32), np.empty((count, embeddings.log_var.shape[1]), "f4")
    bounds = np.searchsorted(template[order], np.arange(count + 1))

    def work(block: tuple[int, int]) -> None:
        first, last = block
        rows = order[bounds[first] : bounds[last]]
        x, v = embeddings.mean[rows], embeddings.log_var[rows]
        w = None if weight is None else np.asarray(weight, np.float32)[rows, None]
        starts = bounds[first:last] - bounds[first]
        if pooling.media and media is not None:
            inner = _starts(template[rows], media[rows])
            x, v = _reduce(x, v, inner, replace(pooling, posterior=pooling.within), w)
            w, starts = _media_weight(w, inner, pooling), np.searchsorted(inner, starts)
        fused, log_var[first:last] = _reduce(x, v, starts, pooling, w)
        mean[first:last] = fused / np.linalg.norm(fused, axis=1, keepdims=True)

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, _blocks(bounds, max(1, _BLOCK_ELEMENTS // embeddings.dim))))
    return Embeddings(mean, log_var, [str(row) for row in range(count)], meta=embeddings.meta)


def pool_stored(
    path: str | Path,
    template: Ints,
    pooling: Pooling,
    media: Ints | None = None,
    weight: NDArray[np.floating] | None = None,
    pieces: int = 8,
) -> Embeddings:
    """:func:`pool_templates` of a stored file that is larger than the memory that one wants to use.

    The file is opened anew for each of ``pieces`` runs of templates, so that never more than one piece of it counts as
    memory of this process. Cheapest when the file is sorted by template.

    Raises:
        ValueError: as :func:`pool_templates`, or no piece. InputError: missing, foreign or damaged file.
    """
    if pieces < 1:
        raise ValueError(f"pieces must be at least 1. Got {pieces} instead.")
    count = _check(Embeddings.load(path), template, pooling, media, weight)
    parts = []
    for first, last in itertools.pairwise(np.linspace(0, count, min(pieces, count) + 1).astype(int)):
        rows = np.flatnonzero((template >= first) & (template < last))
        chosen = slice(rows[0], rows[-1] + 1) if len(rows) == rows[-1] + 1 - rows[0] else rows
        of_media, of_weight = (None if part is None else part[chosen] for part in (media, weight))
        images, place = Embeddings.load(path)[chosen], template[chosen] - first
        parts.append(pool_templates(images, place, pooling, of_media, of_weight))  # type: ignore[arg-type]
    return replace(concatenate(parts), ids=[str(row) for row in range(count)])


def _check(
    embeddings: Embeddings, template: Ints, pooling: Pooling, media: Ints | None, weight: NDArray[np.floating] | None
) -> int:
    for name, numbers in (("template", template), ("media", media)):
        if numbers is not None and (not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "iu"):
            raise ValueError(f"{name} must be an array of integers. Got {type(numbers).__name__} instead.")
    shape = (len(embeddings),)
    for name, value in (("template", template), ("media", media), ("weight", weight)):
        if value is not None and value.shape != shape:
            raise ValueError(f"{name} must be {shape}. Got {value.shape} instead.")
    if not len(template) or template.min() < 0 or not np.bincount(template).all():
        raise ValueError("template must number 0..T-1, each with at least one image.")
    if pooling.media and media is None:
        raise ValueError("media must be given to pool by media.")
    if weight is not None and not (np.isfinite(weight).all() and (weight > 0).all()):
        raise ValueError("weight must be positive and finite.")
    return int(template.max()) + 1


def _blocks(bounds: Ints, rows: int) -> list[tuple[int, int]]:
    """Runs of whole templates with about ``rows`` images each."""
    blocks, first = [], 0
    while first < len(bounds) - 1:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + rows, "right")) - 1)
        blocks.append((first, last))
        first = last
    return blocks


def _starts(template: Ints, media: Ints) -> Ints:
    """Where a new medium begins in rows that are sorted by template, then medium."""
    new = (np.diff(template, prepend=-1) != 0) | (np.diff(media, prepend=media[0]) != 0)
    return np.flatnonzero(new)


def _media_weight(weight: Floats | None, starts: Ints, pooling: Pooling) -> Floats | None:
    """With equal weights a medium counts by the mean weight of its images; precisions have the weight in them."""
    if weight is None or pooling.weights != "equal":
        return None
    counts = np.diff(starts, append=len(weight)).astype(np.float32)
    return np.asarray(np.add.reduceat(weight, starts, axis=0) / counts[:, None], np.float32)


def _reduce(
    mean: Floats, log_var: Floats, starts: Ints, pooling: Pooling, weight: Floats | None
) -> tuple[Floats, Floats]:
    """Fuse the runs of rows that begin at ``starts``: (S, D) means, not normalised, and (S, D or 1) log variances."""
    counts = np.diff(starts, append=len(mean))
    if pooling.weights == "equal":
        return _mean(mean, log_var, starts, counts, weight)
    if weight is not None:
        log_var = log_var - np.log(weight)
    least = np.minimum.reduceat(log_var, starts, axis=0)
    precision = np.exp(np.repeat(least, counts, axis=0) - log_var)  # relative to the best image: in (0, 1]
    total = np.add.reduceat(precision, starts, axis=0)
    fused: Floats = np.divide(np.add.reduceat(precision * mean, starts, axis=0), total)
    return fused, _posterior(least, precision, total, starts, counts, pooling)


def _mean(mean: Floats, log_var: Floats, starts: Ints, counts: Ints, weight: Floats | None) -> tuple[Floats, Floats]:
    """Weighted means (shares that add up to 1), and the variance that they have when errors are independent."""
    if weight is None:
        weight = np.ones((len(mean), 1), np.float32)
    share: Floats = np.divide(weight, np.repeat(np.add.reduceat(weight, starts, axis=0), counts, axis=0))
    variance = np.add.reduceat(share**2 * np.exp(log_var), starts, axis=0)
    return np.add.reduceat(share * mean, starts, axis=0).astype(np.float32), np.log(variance)


def _posterior(least: Floats, precision: Floats, total: Floats, starts: Ints, counts: Ints, pooling: Pooling) -> Floats:
    """See :func:`faceunc.scoring.fuse`; all in units of the best image's variance."""
    if pooling.posterior == "min":
        return least
    if pooling.posterior == "bayes":
        return least - np.log(total)
    if pooling.posterior == "harmonic":
        return least - np.log(total / counts[:, None].astype(np.float32))
    common = (np.add.reduceat(np.sqrt(precision), starts, axis=0) / total) ** 2
    return least + np.log((1.0 - pooling.rho) / total + pooling.rho * common).astype(np.float32)
