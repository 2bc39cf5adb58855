"""Growth: cost against N, the exponent of its upper decade, and the peak memory of what is streamed.

A part of ``python eval/speed.py LFW --out eval/results --only growth`` (or one work: ``--only growth.search``). Large N
are LFW's embeddings (dlib, per-dimension variance, first view) again and again with a little seeded noise, or aligned
LFW chips again and again. A size that would take longer than the budget, judged by the sizes before it, is left out and
named. Each memory figure comes from a process of its own that opens stored embeddings as a memory map: it is private
memory (no pages of files) at its peak, beyond what the process held when both sides and the labels were given. At 1e5
columns all buffers of a streamed work have their full size, so that 1e6 may take at most 1.2 times as much.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from speed_peaks import peak_memory

import faceunc
from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.setup import folder_bench
from faceunc.images.align import align_face
from faceunc.images.read import read_image
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.lfw import read_pairs
from faceunc.scoring.all_pairs import mls_blocks
from faceunc.scoring.histogram import mls_histogram
from faceunc.scoring.pooling import Pooling, pool_templates
from faceunc.scoring.search import mls_top_k
from faceunc.threads import in_order

BUDGET = 75.0  # seconds a size may take
EMBEDDING_BUDGET = 300.0  # 100,000 chips
STORED = (10_000, 100_000, 1_000_000)  # columns whose memory is measured
PROBES, BEST = 1_000, 20
CHIPS = 512
TEMPLATE = 8  # images a template


def steps(first: float, last: float) -> list[int]:
    """1, 3, 10, 30 ... between two powers of ten."""
    powers = range(round(np.log10(first)), round(np.log10(last)) + 1)
    sizes = [digit * 10**power for power in powers for digit in (1, 3)]
    return [size for size in sizes if size <= last]


def grow(
    sizes: Sequence[int], exponent: float, prepare: Callable[[int], Callable[[], object]], budget: float = BUDGET
) -> dict[str, Any]:
    """Seconds of ``prepare(N)()`` at every size, median of three where one takes under 2 s; a warm-up comes first.

    exponent: of the algorithm, for guessing what the next size takes and for the table. budget: seconds a size may
        take.
    """
    points: dict[int, float] = {}
    skipped = []
    prepare(sizes[0])()
    for size in sizes:
        if points and max(points.values()) * (size / max(points)) ** exponent > budget:
            skipped.append(size)
            continue
        work = prepare(size)
        times: list[float] = []
        while not times or (len(times) < 3 and times[0] < 2.0):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        points[size] = median(times)
        print(f"  N = {size}: {points[size]:.3g} s", file=sys.stderr, flush=True)
    fitted, constant = fit(points)
    return {
        "N": list(points),
        "seconds": list(points.values()),
        "fitted exponent": fitted,
        "fitted factor": constant,
        "fitted on N": upper(points),
        "exponent of the algorithm": exponent,
        "left out, over budget": skipped,
    }


def upper(points: dict[int, float]) -> list[int]:
    """The sizes within a factor of ten of the largest: what the exponent is fitted on."""
    return [size for size in points if size * 10 >= max(points)]


def fit(points: dict[int, float]) -> tuple[float, float]:
    """(p, c) of seconds = c N^p, least squares of logarithms over the upper decade."""
    sizes = upper(points)
    slope, level = np.polyfit(np.log(sizes), np.log([points[size] for size in sizes]), 1)
    return float(slope), float(np.exp(level))


@functools.cache
def lfw(data: Path) -> tuple[Embeddings, NDArray[np.uint8]]:
    """LFW's embeddings by the cross-fitted heads, and some aligned chips."""
    bench = folder_bench(EvalOptions(data), read_pairs(data / "pairs.txt"))
    source, spec = bench.source, bench.source.backbone.spec
    rows = np.linspace(0, len(source.photos) - 1, CHIPS).astype(int)
    points = source.landmarks.points
    paths = source.photos.paths
    chips = [align_face(read_image(paths[i]), points[i], spec.template, spec.input_size) for i in rows]
    return bench.embeddings(View(), "per-dimension"), np.stack(chips)


def repeated(data: Path, count: int, seed: int = 0) -> Embeddings:
    """``count`` embeddings: LFW's again and again, with noise of .02 a dimension on the mean and .05 on log_var."""
    real, rng = lfw(data)[0], np.random.default_rng([seed, count])
    rows = np.resize(rng.permutation(len(real)), count)
    mean, log_var = real.mean[rows], real.log_var[rows]
    mean += np.float32(0.02) * rng.standard_normal(mean.shape, np.float32)
    log_var += np.float32(0.05) * rng.standard_normal(log_var.shape, np.float32)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return Embeddings(mean, log_var, [str(row) for row in range(count)])


def people(count: int) -> NDArray[np.int64]:
    """Who is on each row, for counting: ten photographs a person."""
    return np.arange(count) // 10


def embedding(data: Path) -> dict[str, Any]:
    """Aligned chips to embeddings with variances by the default embedder, batches of 32 side by side."""
    embedder, chips = faceunc.load(aligned=True), lfw(data)[1]

    def embed(rows: NDArray[np.int64]) -> Embeddings:
        return embedder.embed_chips(chips[rows % CHIPS], [str(row) for row in rows])

    def prepare(size: int) -> Callable[[], object]:
        def work() -> None:
            for _ in in_order(embed, (np.arange(start, min(start + 32, size)) for start in range(0, size, 32))):
                pass

        return work

    return grow(steps(1e2, 1e5), 1.0, prepare, EMBEDDING_BUDGET)


def pairs(data: Path) -> dict[str, Any]:
    """Every pair i < j of N embeddings, MLS counted into a histogram of 65,536 bins; memory: 1,000 rows against N,
    counted, and given block by block."""

    def prepare(size: int) -> Callable[[], object]:
        side, person = repeated(data, size), people(size)
        return lambda: mls_histogram(side, None, person)

    works = {"peak memory": _count_stored, "peak memory of blocks": _blocks_stored}
    peaks = peak_memory(functools.partial(repeated, data), works, STORED)
    return grow(steps(1e3, 1e5), 2.0, prepare) | peaks


def search(data: Path) -> dict[str, Any]:
    """The best 20 of a gallery of N for 1,000 probes, exactly."""
    probes = repeated(data, PROBES, seed=1)

    def prepare(size: int) -> Callable[[], object]:
        gallery = repeated(data, size)
        return lambda: mls_top_k(probes, gallery, BEST)

    peaks = peak_memory(functools.partial(repeated, data), {"peak memory": _search_stored}, STORED)
    return grow(steps(1e4, 1e6), 1.0, prepare) | peaks


def pooling(data: Path) -> dict[str, Any]:
    """N images pooled into templates of eight, by inverse variance."""

    def prepare(size: int) -> Callable[[], object]:
        images, template = repeated(data, size), np.arange(size) // TEMPLATE
        return lambda: pool_templates(images, template, Pooling())

    return grow(steps(1e3, 1e6), 1.0, prepare)


def roc(data: Path) -> dict[str, Any]:
    """N stored scores, 1% genuine: sorted, TAR at six FAR, equal error rate, 2,000 points of the curve."""

    def prepare(size: int) -> Callable[[], object]:
        rng = np.random.default_rng(size)
        same = rng.random(size, np.float32) < 0.01
        scores = rng.standard_normal(size, np.float32) + 3.0 * same.astype(np.float32)

        def work() -> None:
            both = sort_scores(scores, same)
            for power in range(1, 7):
                both.tar_at_far(10.0**-power)
            both.equal_error_rate()
            both.curve()

        return work

    return grow(steps(1e4, 1e8), 1.0, prepare)


def _count_stored(path: Path) -> Callable[[], object]:
    side = Embeddings.load(path)
    first, second = people(PROBES), people(len(side))
    return lambda: mls_histogram(side[:PROBES], side, first, second)


def _blocks_stored(path: Path) -> Callable[[], object]:
    side = Embeddings.load(path)
    return lambda: sum(scores.size for _, _, scores in mls_blocks(side[:PROBES], side))


def _search_stored(path: Path) -> Callable[[], object]:
    gallery = Embeddings.load(path)
    return lambda: mls_top_k(gallery[:PROBES], gallery, BEST)


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    work.__name__: work for work in (embedding, pairs, search, pooling, roc)
}


def measure(data: Path) -> dict[str, Any]:
    """All of it; ``data``: LFW's folder."""
    return {name: work(data) for name, work in PARTS.items()}
