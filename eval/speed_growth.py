"""Growth: cost against N, the exponent of its upper decade, and the peak memory of what is streamed.

A part of ``python eval/speed.py LFW --out eval/results --only growth`` (or one work: ``--only growth.search``). Large N
are LFW's embeddings (dlib, per-dimension variance, first view) again and again with a little seeded noise, or aligned
LFW chips again and again. A size that would take longer than the budget, judged by the sizes before it, is left out and
named. Each memory figure comes from a process of its own that opens stored embeddings as a memory map.
"""

from __future__ import annotations

import functools
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation.setup import EvalOptions, folder_bench
from faceunc.images.align import align_face
from faceunc.images.read import read_image
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.lfw import read_pairs
from faceunc.scoring.histogram import mls_histogram
from faceunc.scoring.pooling import Pooling, pool_templates
from faceunc.scoring.search import mls_top_k

BUDGET = 75.0  # seconds a size may take
PROBES, BEST = 1_000, 20
CHIPS = 512
TEMPLATE = 8  # images a template


def steps(first: float, last: float) -> list[int]:
    """1, 3, 10, 30 ... between two powers of ten."""
    powers = range(round(np.log10(first)), round(np.log10(last)) + 1)
    sizes = [digit * 10**power for power in powers for digit in (1, 3)]
    return [size for size in sizes if size <= last]


def grow(sizes: Sequence[int], exponent: float, prepare: Callable[[int], Callable[[], object]]) -> dict[str, Any]:
    """Seconds of ``prepare(N)()`` at every size, median of three where one takes under 2 s; a warm-up comes first.

    exponent: of the algorithm, for guessing what the next size takes and for the table.
    """
    points: dict[int, float] = {}
    skipped = []
    prepare(sizes[0])()
    for size in sizes:
        if points and max(points.values()) * (size / max(points)) ** exponent > BUDGET:
            skipped.append(size)
            continue
        work, times = prepare(size), []
        while not times or (len(times) < 3 and times[0] < 2.0):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        points[size] = median(times)
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
    """Aligned chips through the backbone (batches of 32) and the variance head."""
    from faceunc.backbones.registry import load_backbone
    from faceunc.heads.shipped import head_path
    from faceunc.heads.store import load_head

    backbone, head, chips = load_backbone("dlib"), load_head(head_path("dlib-pfe")).head, lfw(data)[1]

    def prepare(size: int) -> Callable[[], object]:
        def work() -> None:
            for start in range(0, size, 32):
                rows = np.arange(start, min(start + 32, size)) % CHIPS
                output = backbone(chips[rows])
                head(output.feature_map, output.norm)

        return work

    return grow(steps(1e2, 1e5), 1.0, prepare)


def pairs(data: Path) -> dict[str, Any]:
    """Every pair i < j of N embeddings, MLS counted into a histogram of 65,536 bins; memory: 1,000 rows against N."""

    def prepare(size: int) -> Callable[[], object]:
        side, person = repeated(data, size), people(size)
        return lambda: mls_histogram(side, None, person)

    peak = {size: peak_memory(data, size, _count_stored) for size in (10_000, 100_000, 1_000_000)}
    return grow(steps(1e3, 1e5), 2.0, prepare) | {"peak memory, MB": peak}


def search(data: Path) -> dict[str, Any]:
    """The best 20 of a gallery of N for 1,000 probes, exactly."""
    probes = repeated(data, PROBES, seed=1)

    def prepare(size: int) -> Callable[[], object]:
        gallery = repeated(data, size)
        return lambda: mls_top_k(probes, gallery, BEST)

    peak = {size: peak_memory(data, size, _search_stored) for size in (10_000, 100_000, 1_000_000)}
    return grow(steps(1e4, 1e6), 1.0, prepare) | {"peak memory, MB": peak}


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


def _count_stored(path: Path) -> None:
    side = Embeddings.load(path)
    mls_histogram(side[:PROBES], side, people(PROBES), people(len(side)))


def _search_stored(path: Path) -> None:
    gallery = Embeddings.load(path)
    mls_top_k(gallery[:PROBES], gallery, BEST)


def peak_memory(data: Path, size: int, work: Callable[[Path], None]) -> float:
    """MB beyond what the process held before, in a process of its own that works on ``size`` stored embeddings."""
    with tempfile.TemporaryDirectory() as folder:
        for name, count in (("small", 2_000), ("all", size)):
            repeated(data, count).save(Path(folder) / f"{name}.safetensors")
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(_watched, (Path(folder), work))


def _watched(folder: Path, work: Callable[[Path], None]) -> float:
    """A small call first loads and compiles everything."""
    work(folder / "small.safetensors")
    return peak_while(lambda: work(folder / "all.safetensors")) / 2**20


def peak_while(work: Callable[[], object]) -> int:
    """Bytes of private memory at its peak during the call, beyond those before; looked at every 5 ms."""
    before = private_memory()
    seen, ended = [before], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            seen.append(private_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    ended.set()
    watcher.join()
    return max(seen) - before


def private_memory() -> int:
    """Bytes of this process that are no pages of files: what a memory map cannot give back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


PARTS: dict[str, Callable[[Path], dict[str, Any]]] = {
    work.__name__: work for work in (embedding, pairs, search, pooling, roc)
}


def measure(data: Path) -> dict[str, Any]:
    """All of it; ``data``: LFW's folder."""
    return {name: work(data) for name, work in PARTS.items()}
