"""Keeping the k best of every row, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceunc.scoring.compiled import compiled
from faceunc.scoring.kernel_cpu import few_per_dimension, few_scalar
from faceunc.scoring.packed import FEW

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Side = tuple[Floats, Floats]
_STEP = np.uint64(FEW)
_RUN = 64  # columns that are ruled out together


@compiled()
def insert(score: np.float32, position: int, best: Floats, index: Ints) -> None:
    """Put one score among the best of its row, which are sorted from high to low, if it is higher than the last.

    Of equal scores the one that came first stays ahead; positions come in increasing order.
    """
    place = len(best) - 1
    if not score > best[place]:
        return
    while place > 0 and score > best[place - 1]:
        best[place], index[place] = best[place - 1], index[place - 1]
        place -= 1
    best[place], index[place] = score, position


@compiled()
def keep_best(scores: Floats, first_position: int, best: Floats, index: Ints) -> None:
    """Offer every score of a block (I, J) to the best (I, k) of its row."""
    for i in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            if scores[i, j] > best[i, best.shape[1] - 1]:
                insert(scores[i, j], first_position + j, best[i], index[i])


@compiled()
def search_survivors(
    margin: Floats,
    least: Floats,
    rows: Side,
    columns: Side,
    constant: float,
    filled: int,
    first: int,
    best: Floats,
    index: Ints,
) -> int:
    """Score only the columns whose bound can reach the best of their row; returns how many were scored.

    Args:
        margin: (I, J), ``least`` (I,): column j is scored for row i when ``margin[i, j] >= least[i]``.
        rows, columns: (mean, variance) of the I rows and J columns, packed. first: position of the first column.
        constant, filled: as the kernels take them. best, index: as above.

    Survivors are gathered into a tile and scored by the kernel of the matrix, so that a score is the same number with
    and without bounds.
    """
    mean, variance = rows
    tile = np.ones((1, (columns[0].shape[1] + columns[1].shape[1]) * FEW), np.float32)
    scores, held_columns = np.empty((1, FEW), np.float32), np.empty(FEW, np.int64)
    total, width = 0, margin.shape[1]
    for i in range(margin.shape[0]):
        bounds, needed, held = margin[i], least[i], 0
        for start in range(0, width, _RUN):
            stop = min(start + _RUN, width)
            if _any_reaches(bounds[start:stop], needed):
                for j in range(start, stop):
                    if bounds[j] >= needed:
                        _put(columns[0][j], columns[1][j], tile[0], held)
                        held_columns[held] = j
                        held += 1
                    if held == FEW:
                        _score_held(mean[i : i + 1], variance[i : i + 1], tile, constant, filled, scores)
                        _insert_held(scores[0], held_columns, held, first, best[i], index[i])
                        total += held
                        held = 0
        if held > 0:
            _score_held(mean[i : i + 1], variance[i : i + 1], tile, constant, filled, scores)
            _insert_held(scores[0], held_columns, held, first, best[i], index[i])
            total += held
    return total


@compiled()
def _any_reaches(bounds: Floats, needed: np.float32) -> bool:
    hits = 0  # counted, not searched: a loop without exit becomes vectors
    for j in range(len(bounds)):
        hits += bounds[j] >= needed
    return hits > 0


@compiled()
def _score_held(mean: Floats, variance: Floats, tile: Floats, constant: float, filled: int, scores: Floats) -> None:
    if variance.shape[1] == 1:
        few_scalar(mean, variance, tile, constant, filled, scores)
    else:
        few_per_dimension(mean, variance, tile, constant, filled, scores)


@compiled()
def _insert_held(scores: Floats, columns: Ints, held: int, first: int, best: Floats, index: Ints) -> None:
    for lane in range(held):
        insert(scores[lane], first + columns[lane], best, index)


@compiled()
def _put(mean: Floats, variance: Floats, tile: Floats, lane: int) -> None:
    """One column into a lane of a tile, laid out as the kernels want it."""
    place = np.uint64(lane)  # unsigned, as in kernel_cpu
    if len(variance) == len(mean):
        for dim in range(np.uint64(len(mean))):
            tile[place] = mean[dim]
            tile[place + _STEP] = variance[dim]
            place += _STEP + _STEP
    else:
        for dim in range(np.uint64(len(mean))):
            tile[place] = mean[dim]
            place += _STEP
        tile[place] = variance[0]
