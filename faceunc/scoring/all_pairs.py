"""Every embedding of one side against every one of the other by MLS: whole matrix, block by block, or counted.

Fused kernels (:mod:`.kernel_cpu`) take both sides in pieces of bounded size: beyond the result, memory does not depend
on how many embeddings there are, and memory-mapped files are read piece by piece.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch

from faceunc.embeddings import Embeddings
from faceunc.scoring.mls import mutual_likelihood_score
from faceunc.scoring.packed import LANES, Floats, Scaling, find_scaling, pack_rows, pack_tiles

_ROWS, _COLUMNS = 256, 64 * LANES  # a block; a thread works through it 8 tiles at a time
_STRIP = 8
_PLAIN_ELEMENTS = 2_000_000
_SMALL = 20_000  # so few pairs are done before numba is loaded
Block = tuple[slice, slice, Floats]
T = TypeVar("T")


@dataclass(frozen=True)
class Pairs:
    """Both sides, ready to be compared: (N, D) rows against (M, D) columns, by MLS in the paper's form, in nats."""

    rows: Embeddings
    columns: Embeddings
    scaling: Scaling | None
    """None: variances so far apart that only the plain formula in float64 is safe."""

    def tiles(self, columns: slice) -> Floats | None:
        """These columns, packed (None for the plain formula)."""
        if self.scaling is None:
            return None
        return pack_tiles(*pack_rows(self.columns, columns, self.scaling))

    def strips(self, rows: slice, columns: slice, tiles: Floats | None) -> Iterator[tuple[slice, Floats]]:
        """(columns, scores) of one block, a strip of at most 1,024 columns at a time; the next strip overwrites it."""
        if self.scaling is None or tiles is None:
            yield columns, plain_block(self.rows, self.columns, rows, columns)
            return
        packed = pack_rows(self.rows, rows, self.scaling)
        for part, scores in kernel_strips(packed, tiles, self.scaling, columns.stop - columns.start):
            yield slice(columns.start + part.start, columns.start + part.stop), scores


def make_pairs(first: Embeddings, second: Embeddings) -> Pairs:
    """Check the sides and give both as wide a variance as the wider one has.

    Raises:
        ValueError: sides of different D, or without a dimension.
    """
    if first.dim != second.dim or not first.dim:
        raise ValueError(f"both sides must have the same dimension. Got {first.dim} and {second.dim} instead.")
    width = max(first.log_var.shape[1], second.log_var.shape[1])
    rows, columns = _widened(first, width), _widened(second, width)
    return Pairs(rows, columns, find_scaling(rows, columns))


def _widened(side: Embeddings, width: int) -> Embeddings:
    if side.log_var.shape[1] == width:
        return side
    return replace(side, log_var=np.broadcast_to(side.log_var, (len(side), width)))


def kernel_strips(
    packed: tuple[Floats, Floats], tiles: Floats, scaling: Scaling, width: int
) -> Iterator[tuple[slice, Floats]]:
    """Scores of packed rows against tiles of ``width`` columns, strip by strip: tiles and scores stay in the cache."""
    from faceunc.scoring.kernel_cpu import mls_per_dimension, mls_scalar

    mean, variance = packed
    kernel = mls_scalar if variance.shape[1] == 1 else mls_per_dimension
    buffer = np.empty((len(mean), _STRIP * LANES), np.float32)
    for start in range(0, len(tiles), _STRIP):
        part = tiles[start : start + _STRIP]
        kernel(mean, variance, part, scaling.constant, scaling.filled, buffer)
        columns = slice(start * LANES, min((start + len(part)) * LANES, width))
        yield columns, buffer[:, : columns.stop - columns.start]


def mls_blocks(first: Embeddings, second: Embeddings) -> Iterator[Block]:
    """(rows, columns, scores float32) block by block, of at most 256 x 8,192; every pair comes once.

    The order is the same in every run, and so is every number. The next blocks are made in threads meanwhile.

    Raises:
        ValueError: as :func:`make_pairs`.
    """
    pairs = make_pairs(first, second)
    threads = torch.get_num_threads()

    def block(rows: slice, columns: slice, tiles: Floats | None) -> Block:
        scores = np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        for part, strip in pairs.strips(rows, columns, tiles):
            scores[:, part.start - columns.start : part.stop - columns.start] = strip
        return rows, columns, scores

    pool = ThreadPoolExecutor(threads)
    try:
        jobs = (
            pool.submit(block, rows, columns, tiles)
            for columns, tiles in one_ahead(pool, pairs.tiles, slices(len(second), _COLUMNS))
            for rows in slices(len(first), _ROWS)
        )
        ahead = deque(itertools.islice(jobs, 2 * threads))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(itertools.islice(jobs, 1))
    finally:
        pool.shutdown(cancel_futures=True)  # whoever stops early does not wait for blocks that have not begun


def for_each_strip(pairs: Pairs, consume: Callable[[slice, slice, Floats], None], upper: bool = False) -> None:
    """Call ``consume(rows, columns, scores)`` for all pairs, in threads; the scores are valid during the call only.

    ``upper``: blocks of which no column comes after a row are left out.
    """
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for columns, tiles in one_ahead(pool, pairs.tiles, slices(len(pairs.columns), _COLUMNS)):

            def work(rows: slice, columns: slice = columns, tiles: Floats | None = tiles) -> None:
                skipped = max(0, rows.start - columns.start) // LANES if upper else 0
                part = slice(columns.start + skipped * LANES, columns.stop)
                for strip, scores in pairs.strips(rows, part, None if tiles is None else tiles[skipped:]):
                    consume(rows, strip, scores)

            list(pool.map(work, [r for r in slices(len(pairs.rows), _ROWS) if not upper or columns.stop > r.start]))


def one_ahead(pool: ThreadPoolExecutor, make: Callable[[slice], T], parts: list[slice]) -> Iterator[tuple[slice, T]]:
    """(part, make(part)) in order, the next one being made in the pool while the caller works on this one."""
    following = pool.submit(make, parts[0]) if parts else None
    for number, part in enumerate(parts):
        current, following = following, pool.submit(make, parts[number + 1]) if number + 1 < len(parts) else None
        if current is not None:
            yield part, current.result()


def mls_matrix(first: Embeddings, second: Embeddings) -> Floats:
    """Scores (N, M) float32 of everything against everything; higher = more likely the same person.

    Within 1e-6 of float64, relative to the sum of the magnitudes of the score's terms; up to 20,000 pairs are computed
    in float64 (no kernel is loaded for them). Memory is that of the result.

    Raises:
        ValueError: as :func:`make_pairs`.
    """
    pairs = make_pairs(first, second)
    out = np.empty((len(first), len(second)), np.float32)
    if out.size <= _SMALL:
        out[:] = plain_block(first, second, slice(0, len(first)), slice(0, len(second)))
        return out

    def store(rows: slice, columns: slice, scores: Floats) -> None:
        out[rows, columns] = scores

    for_each_strip(pairs, store)
    return out


def plain_block(first: Embeddings, second: Embeddings, rows: slice, columns: slice) -> Floats:
    """The formula as it stands, in float64: for few pairs, and for variances too far apart for the kernels."""
    mean2, var2 = (np.asarray(x[columns], np.float64)[None] for x in (second.mean, second.log_var))
    step = max(1, _PLAIN_ELEMENTS // max(1, mean2.size))
    parts = [np.empty((0, mean2.shape[1]))]
    for start in range(rows.start, rows.stop, step):
        part = slice(start, min(start + step, rows.stop))
        mean1, var1 = (np.asarray(x[part], np.float64)[:, None] for x in (first.mean, first.log_var))
        parts.append(mutual_likelihood_score(mean1, var1, mean2, var2))
    least = np.finfo(np.float32).min  # a pair that float32 cannot tell from impossible stays comparable
    return np.maximum(np.concatenate(parts), least).astype(np.float32)


def slices(total: int, step: int) -> list[slice]:
    """0..total in runs of ``step``."""
    return [slice(start, min(start + step, total)) for start in range(0, total, step)]
