"""Genuine and impostor scores counted, not stored: the ROC of billions of comparisons in the memory of a few tiles."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import Embeddings
from faceunc.scoring.all_pairs import Pairs, for_each_strip, make_pairs, mls_matrix
from faceunc.scoring.packed import Floats

Counts = NDArray[np.int64]
_PILOT = 512  # rows of each side whose scores tell where the bins lie


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of scores between ``edges``.

    Attributes:
        edges: float32 (B + 1,), increasing, equally far apart.
        impostor, genuine: int64 (B + 2,): below edges[0], B bins (edge <= score < next edge), from edges[B] up.
    """

    edges: Floats
    impostor: Counts
    genuine: Counts

    def accepted(self, counts: Counts) -> NDArray[np.float64]:
        """Share of scores at or above each edge, (B + 1,): exact at the edges, not interpolated."""
        total = counts.sum()
        above = total - np.cumsum(counts)[:-1]
        return np.asarray(above / total if total else np.full(len(self.edges), np.nan))

    @property
    def fmr(self) -> NDArray[np.float64]:
        """FMR with each edge as the threshold (accept when score >= threshold)."""
        return self.accepted(self.impostor)

    @property
    def tar(self) -> NDArray[np.float64]:
        """TAR (1 - FNMR) with each edge as the threshold."""
        return self.accepted(self.genuine)

    def tar_at_far(self, target: float) -> tuple[float, float, float]:
        """(TAR, FMR reached, threshold) at the lowest edge whose FMR is at most ``target``.

        Raises:
            ValueError: no rate in [0, 1], not even the highest edge has so low an FMR, or no scores of one kind.
        """
        if not 0.0 <= target <= 1.0:
            raise ValueError(f"target must be a rate in [0, 1]. Got {target:g} instead.")
        if not self.impostor.sum() or not self.genuine.sum():
            raise ValueError("both genuine and impostor scores must have been counted.")
        good = np.flatnonzero(self.fmr <= target)
        if not len(good):
            raise ValueError(f"FMR at the highest edge is {self.fmr[-1]:g}: above {target:g}; use higher edges.")
        return float(self.tar[good[0]]), float(self.fmr[good[0]]), float(self.edges[good[0]])


def mls_histogram(
    first: Embeddings,
    second: Embeddings | None,
    person1: ArrayLike,
    person2: ArrayLike | None = None,
    edges: Floats | None = None,
    bins: int = 65_536,
) -> ScoreHistogram:
    """Count the MLS of every row of ``first`` against every row of ``second``; with None, of each pair of different
    rows of ``first`` once.

    Args:
        person1, person2: (N,), (M,) whole numbers: who is on each photograph; equal ones make a pair genuine.
        edges: equally spaced thresholds; None puts ``bins`` of them around the scores of a sample of pairs, half as
            far again to each side. Whatever lies outside is counted there.

    Returns:
        Exact counts, the same in every run. Memory: for each thread one block of scores and the counts.

    Raises:
        ValueError: lengths that do not fit, edges that are not equally spaced, one of ``second`` and ``person2``
            without the other, scores that are not finite.
    """
    one_set = second is None
    if one_set != (person2 is None):
        raise ValueError("second and person2 must be given together, or neither.")
    other, codes1 = first if second is None else second, _codes(first, person1, "person1")
    codes2 = codes1 if person2 is None else _codes(other, person2, "person2")
    pairs = make_pairs(first, other)
    edges = _pilot_edges(pairs, bins) if edges is None else _checked_edges(edges)
    counts = np.zeros((2, len(edges) + 1), np.int64)
    lock = threading.Lock()

    def count(rows: slice, columns: slice, scores: Floats) -> None:
        from faceunc.scoring.kernel_count import count_scores

        own = np.zeros_like(counts)
        first_row = rows.start - columns.start if one_set else -scores.size
        bad = count_scores(scores, codes1[rows], codes2[columns], edges, first_row, own)
        if bad:
            raise ValueError(f"scores must be finite. Got {bad} NaN in rows {rows.start} to {rows.stop - 1} instead.")
        with lock:
            np.add(counts, own, out=counts)

    for_each_strip(pairs, count, upper=one_set)
    return ScoreHistogram(edges, counts[0], counts[1])


def _codes(side: Embeddings, person: ArrayLike, name: str) -> Counts:
    codes = np.asarray(person)
    if codes.shape != (len(side),) or codes.dtype.kind not in "iu":
        raise ValueError(f"{name} must be ({len(side)},) whole numbers. Got {codes.dtype} {codes.shape} instead.")
    return codes.astype(np.int64, copy=False)


def _checked_edges(edges: Floats) -> Floats:
    values = np.asarray(edges, np.float32)
    steps = np.diff(values.astype(np.float64)) if values.ndim == 1 and len(values) > 1 else np.zeros(1)
    if not (steps > 0).all() or np.ptp(steps) > 1e-2 * steps.mean() + 2 * _ulp(values):
        raise ValueError("edges must be (B + 1,), B >= 1, increasing and equally far apart.")
    return values


def _pilot_edges(pairs: Pairs, bins: int) -> Floats:
    """Equal bins around the scores of evenly spread rows of both sides."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Got {bins} instead.")
    rows, columns = (side[_spread(len(side))] for side in (pairs.rows, pairs.columns))
    scores = mls_matrix(rows, columns)
    scores = scores[np.isfinite(scores)] if scores.size else np.zeros(1, np.float32)
    low, high = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 0.0)
    ends = np.array([low - 0.5 * (high - low) - 1.0, high + 0.5 * (high - low) + 1.0], np.float32)
    width = max(float(ends[1]) - float(ends[0]), 4 * bins * _ulp(ends))  # neighbours must differ in float32
    return (np.linspace(0.0, width, bins + 1) + float(ends[0])).astype(np.float32)


def _ulp(values: Floats) -> float:
    return float(np.spacing(np.abs(values).max()))


def _spread(count: int) -> NDArray[np.int64]:
    """Up to _PILOT positions, evenly spread over ``count`` rows."""
    return np.unique(np.linspace(0, count - 1, min(count, _PILOT)).astype(np.int64))
