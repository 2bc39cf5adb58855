"""The k best of a gallery for every probe, exactly: most of the gallery is ruled out by a bound, not scored."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.scoring.all_pairs import Pairs, kernel_strips, make_pairs, one_ahead, slices
from faceunc.scoring.bounds import ColumnBound, bound_columns, bound_rows
from faceunc.scoring.packed import LANES, Floats, Scaling, pack_rows, pack_tiles

Ints = NDArray[np.int64]
Packed = tuple[Floats, Floats]
_COLUMNS = 64 * LANES  # of the gallery at once
_ROWS = 512  # probes at once; a thread takes _TASK of them
_TASK = 256
_WORTH = 0.04  # bounds pay while they leave less than this share; where they do not, they are tried again later


@dataclass(frozen=True)
class TopK:
    """The best of the gallery for P probes, from high to low; of equal scores the lower position is first.

    Attributes:
        score: float32 (P, k). index: int64 (P, k), positions in the gallery.
        scored: share of all pairs whose score was computed; the bound ruled out the others.
    """

    score: Floats
    index: Ints
    scored: float


def mls_top_k(probes: Embeddings, gallery: Embeddings, k: int, bounds: bool = True) -> TopK:
    """The k galleries with the highest MLS (paper's form, nats) for every probe.

    Exact: the scores and positions that sorting :func:`mls_blocks` would give, with bounds or without. Memory is that
    of the result and of two pieces of 8,192 columns, whatever the sizes; a memory-mapped gallery is read by pieces.

    Args:
        bounds: rule pairs out by :mod:`.bounds`; False scores every pair.

    Raises:
        ValueError: k below 1 or above the gallery's size, sides of different D, numbers that are not finite.
    """
    check_k(k, gallery)
    pairs = make_pairs(probes, gallery)
    state = _State.empty(len(probes), k)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for columns, piece in one_ahead(pool, lambda part: _piece(pairs, part, bounds), slices(len(gallery), _COLUMNS)):
            if piece is None:
                _plain(pairs, columns, state)
            else:
                _search(pairs, piece, state, pool)
    return TopK(state.best, state.index, state.scored / max(1, len(probes) * len(gallery)))


def check_k(k: int, gallery: Embeddings) -> None:
    """Raise ValueError unless the gallery has k rows."""
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k must be from 1 to the size of the gallery, {len(gallery)}. Got {k} instead.")


@dataclass
class _State:
    """What is known so far: the best of every probe, and where bounds were found not to pay."""

    best: Floats
    index: Ints
    wait: Ints  # pieces of the gallery that a block of probes still scores in full
    patience: Ints  # how many after the next failure of the bounds: doubled each time
    margin: Floats  # one block of bounds, used again and again
    scored: int = 0

    @staticmethod
    def empty(probes: int, k: int) -> _State:
        blocks = -(-probes // _ROWS)
        best = np.full((probes, k), -np.inf, np.float32)
        wait, patience = np.zeros(blocks, np.int64), np.full(blocks, 4, np.int64)
        return _State(best, np.full((probes, k), -1, np.int64), wait, patience, np.empty(_ROWS * _COLUMNS, np.float32))

    def part(self, rows: slice, part: slice) -> tuple[Floats, Ints]:
        """Views of best and index for a part of a block of probes."""
        chosen = slice(rows.start + part.start, rows.start + part.stop)
        return self.best[chosen], self.index[chosen]


@dataclass(frozen=True)
class _Piece:
    """One piece of the gallery, packed."""

    first: int
    scaling: Scaling
    packed: tuple[Floats, Floats]
    bound: ColumnBound | None

    @cached_property
    def tiles(self) -> Floats:
        return pack_tiles(*self.packed)


def _piece(pairs: Pairs, columns: slice, bounds: bool) -> _Piece | None:
    if pairs.scaling is None:
        return None
    packed = pack_rows(pairs.columns, columns, pairs.scaling)
    _check_finite("gallery", packed, columns)
    return _Piece(columns.start, pairs.scaling, packed, bound_columns(*packed, pairs.scaling.dim) if bounds else None)


def _check_finite(side: str, packed: Packed, rows: slice) -> None:
    """A row that is not a number would be nowhere in the result."""
    good = np.isfinite(packed[0]).all(1) & np.isfinite(packed[1]).all(1)
    if not good.all():
        raise ValueError(
            f"{side} must be finite. Got NaN or infinity in row {rows.start + int(np.argmin(good))} instead."
        )


def _search(pairs: Pairs, piece: _Piece, state: _State, pool: ThreadPoolExecutor) -> None:
    """All probes in one piece of the gallery."""
    for block, rows in enumerate(slices(len(pairs.rows), _ROWS)):
        packed = pack_rows(pairs.rows, rows, piece.scaling)
        _check_finite("probes", packed, rows)
        unfilled = bool((state.index[rows, -1] < 0).any())
        if piece.bound is None or unfilled or state.wait[block] > 0:
            state.wait[block] = max(0, state.wait[block] - 1)
            _score_all(packed, rows, piece, state, pool)
            state.scored += len(packed[0]) * len(piece.packed[0])
            continue
        scored = _score_survivors(packed, rows, piece, piece.bound, state, pool)
        state.scored += scored
        if scored > _WORTH * len(packed[0]) * len(piece.packed[0]):
            state.wait[block] = state.patience[block]
            state.patience[block] *= 2


def _score_all(packed: Packed, rows: slice, piece: _Piece, state: _State, pool: ThreadPoolExecutor) -> None:
    from faceunc.scoring.kernel_topk import keep_best

    tiles, width = piece.tiles, len(piece.packed[0])

    def work(part: slice) -> None:
        for columns, scores in kernel_strips((packed[0][part], packed[1][part]), tiles, piece.scaling, width):
            keep_best(scores, piece.first + columns.start, *state.part(rows, part))

    list(pool.map(work, slices(len(packed[0]), _TASK)))


def _score_survivors(
    packed: Packed, rows: slice, piece: _Piece, bound: ColumnBound, state: _State, pool: ThreadPoolExecutor
) -> int:
    """Returns how many were scored."""
    from faceunc.scoring.kernel_topk import search_survivors

    scaling, constant = piece.scaling, piece.scaling.constant
    factors, least = bound_rows(*packed, state.best[rows, -1], scaling, bound)
    shape = len(factors), len(bound.factors)
    margin = state.margin[: shape[0] * shape[1]].reshape(shape)
    np.matmul(factors, bound.factors.T, out=margin)  # numpy's, for torch may be set to multiply less exactly

    def work(part: slice) -> int:
        chosen = packed[0][part], packed[1][part]
        best, index = state.part(rows, part)
        scored = search_survivors(
            margin[part], least[part], chosen, piece.packed, constant, scaling.filled, piece.first, best, index
        )
        return int(scored)

    return sum(pool.map(work, slices(len(packed[0]), _TASK)))


def _plain(pairs: Pairs, columns: slice, state: _State) -> None:
    """Variances too far apart for the kernels: every pair, in float64."""
    from faceunc.scoring.kernel_topk import keep_best

    for rows in slices(len(pairs.rows), _ROWS):
        for part, scores in pairs.strips(rows, columns, None):
            keep_best(scores, part.start, state.best[rows], state.index[rows])
            state.scored += scores.size


def cosine_top_k(probes: Embeddings, gallery: Embeddings, k: int) -> TopK:
    """The k galleries with the highest cosine for every probe: a matrix product, block by block.

    Raises:
        ValueError: as :func:`mls_top_k`.
    """
    from faceunc.scoring.kernel_topk import keep_best

    check_k(k, gallery)
    make_pairs(probes, gallery)
    state = _State.empty(len(probes), k)
    for rows, columns, scores in _cosine_blocks(probes, gallery):
        keep_best(scores, columns.start, state.best[rows], state.index[rows])
    return TopK(state.best, state.index, 1.0)


def _cosine_blocks(probes: Embeddings, gallery: Embeddings) -> Iterator[tuple[slice, slice, Floats]]:
    for columns in slices(len(gallery), _COLUMNS):
        right = _directions("gallery", gallery, columns).T
        for rows in slices(len(probes), _ROWS):
            product = _directions("probes", probes, rows) @ right
            yield rows, columns, np.clip(product, -1.0, 1.0, out=product)


def _directions(side: str, embeddings: Embeddings, rows: slice) -> Floats:
    """Means of length 1, as :func:`faceunc.scoring.cosine_score` makes them."""
    mean = np.asarray(embeddings.mean[rows], np.float32)
    _check_finite(side, (mean, mean), rows)
    found: Floats = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.float32(1e-8))
    return found
