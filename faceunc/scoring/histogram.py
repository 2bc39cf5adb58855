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
            ValueError: not even the highest edge has so low an FMR, or there are no impostor scores.
        """
        good = np.flatnonzero(self.fmr <= target)
        if not len(good):
            raise ValueError(f"FMR at the highest edge is {self.fmr[-1]:g}: above {target:g}; use higher edges.")
        return float(self.tar[good[0]]), float(self.fmr[good[0]]), float(self.edges[good[0]])


def mls_histogram(
    first: Embeddings,
    second: Embeddings,
    person1: ArrayLike,
    person2: ArrayLike,
    edges: Floats | None = None,
    bins: int = 65_536,
    same_set: bool = False,
) -> ScoreHistogram:
    """Count the MLS of every row of ``first`` against every row of ``second``.

    Args:
        person1, person2: (N,), (M,) whole numbers: who is on each photograph; equal ones make a pair genuine.
        edges: equally spaced thresholds; None puts ``bins`` of them around the scores of a sample of pairs, half as
            far again to each side. Whatever lies outside is counted there.
        same_set: both sides are one set: count each pair of different rows once (i < j).

    Returns:
        Exact counts, the same in every run. Memory: the counts and a block of scores a thread.

    Raises:
        ValueError: lengths that do not fit, edges that are not equally spaced, other sides than one set.
    """
    codes = _codes(first, person1), _codes(second, person2)
    if same_set and len(first) != len(second):
        raise ValueError(f"same_set needs one set on both sides. Got {len(first)} and {len(second)} rows instead.")
    pairs = make_pairs(first, second)
    edges = _pilot_edges(pairs, bins) if edges is None else _checked_edges(edges)
    counts = np.zeros((2, len(edges) + 1), np.int64)
    lock = threading.Lock()

    def count(rows: slice, columns: slice, scores: Floats) -> None:
        from faceunc.scoring.kernel_count import count_scores

        own = np.zeros_like(counts)
        first_row = rows.start - columns.start if same_set else -scores.size
        count_scores(scores, codes[0][rows], codes[1][columns], edges, first_row, own)
        with lock:
            np.add(counts, own, out=counts)

    for_each_strip(pairs, count, upper=same_set)
    return ScoreHistogram(edges, counts[0], counts[1])


def _codes(side: Embeddings, person: ArrayLike) -> Counts:
    codes = np.asarray(person)
    if codes.shape != (len(side),) or codes.dtype.kind not in "iu":
        raise ValueError(f"person must be ({len(side)},) whole numbers. Got {codes.dtype} {codes.shape} instead.")
    return codes.astype(np.int64)


def _checked_edges(edges: Floats) -> Floats:
    values = np.asarray(edges, np.float32)
    steps = np.diff(values.astype(np.float64))
    if values.ndim != 1 or len(values) < 2 or not (steps > 0).all() or np.ptp(steps) > 1e-2 * steps.mean():
        raise ValueError("edges must be (B + 1,), B >= 1, increasing and equally far apart.")
    return values


def _pilot_edges(pairs: Pairs, bins: int) -> Floats:
    """Equal bins around the scores of evenly spread rows of both sides."""
    if bins < 1:
        raise ValueError(f"bins must be at least 1. Got {bins} instead.")
    sides = [
        side[np.unique(np.linspace(0, len(side) - 1, _PILOT).astype(int))]
        for side in (pairs.rows, pairs.columns)
        if len(side)
    ]
    scores = mls_matrix(sides[0], sides[1]) if len(sides) == 2 else np.zeros((1, 1), np.float32)
    low, high = float(scores.min()), float(scores.max())
    margin = max(0.5 * (high - low), 1.0)
    return np.linspace(low - margin, high + margin, bins + 1).astype(np.float32)


def _spread(count: int) -> NDArray[np.int64]:
    """Up to _PILOT positions, evenly spread over ``count`` rows."""
    return np.unique(np.linspace(0, count - 1, min(count, _PILOT)).astype(np.int64))
