"""Training: both cross-fitted heads from cached features, extraction of all views, memory, and every method's time.

A part of ``python eval/speed.py LFW --out eval/results --only training`` and, method by method, ``--only methods``.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from speed_peaks import peak_while, private_memory

from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.methods import FAMILY
from faceunc.evaluation.setup import folder_bench
from faceunc.heads.pfe import VARIANCES
from faceunc.images.landmarks import Landmarks
from faceunc.protocols.lfw import read_pairs
from faceunc.threads import in_order, turns
from faceunc.training.cache import Features, FeatureSource
from faceunc.training.crossfit import PARTS
from faceunc.training.data import TRAIN_VIEWS, TrainingData, training_data
from faceunc.training.ensemble import train_recipe
from faceunc.training.loop import TrainOptions
from faceunc.training.methods import find_method, named_recipe
from faceunc.training.recipe import Recipe, Settings

ROUNDS = 3
PHOTOS, BATCH = 512, 64


@functools.cache
def bench_of(data: Path) -> Bench:
    """LFW with its features cached."""
    return folder_bench(EvalOptions(data), read_pairs(data / "pairs.txt"))


def measure(data: Path) -> dict[str, Any]:
    """Medians of three rounds after a short training to warm up; ``data``: LFW's folder."""
    bench = bench_of(data)
    pfe, backbone = find_method("pfe"), bench.source.backbone
    recipes = {variance: pfe.recipe(backbone, Settings(variance=variance)) for variance in VARIANCES}
    for recipe in recipes.values():
        train_both(bench, recipe, TrainOptions(steps=50))
    rounds = [
        {name: train_both(bench, recipe, TrainOptions()) for name, recipe in recipes.items()} for _ in range(ROUNDS)
    ]
    figures = {name: {key: median(one[name][key] for one in rounds) for key in rounds[0][name]} for name in recipes}
    return {"both heads": figures, "extraction": extraction(bench), "memory": memory(data)}


def train_both(bench: Bench, recipe: Recipe, options: TrainOptions) -> dict[str, float]:
    """Seconds to load and pool the cached features of all views, to train both heads, and in all; steps of each."""
    names = np.array(bench.source.photos.identities)
    part = next(iter(bench.heads.values())).part
    start = time.perf_counter()
    data = training_data(bench.source, TRAIN_VIEWS, recipe.pooling_head(), show=False)
    loaded = time.perf_counter()
    figures = {}
    for number in range(PARTS):
        trained = train_recipe(data, set(names[part != number].tolist()), recipe, options, show=False)
        figures[f"steps of head {number}"] = trained.history[-1]["step"]
    end = time.perf_counter()
    return {"seconds": end - start, "of which loading": loaded - start, "of which training": end - loaded, **figures}


def extraction(bench: Bench) -> dict[str, Any]:
    """Chips a second of the four training views from files to the cache, against the backbone alone on ready chips,
    batches side by side as the cache computes them."""
    whole = bench.source
    rows = np.linspace(0, len(whole.photos) - 1, PHOTOS).astype(int)
    fields = {name: getattr(whole.landmarks, name)[rows] for name in Landmarks.__dataclass_fields__}
    part = replace(whole, photos=whole.photos.subset(rows.tolist()), landmarks=Landmarks(**fields))
    made = [views for _, batch in part.chips(TRAIN_VIEWS, BATCH) for views in batch]
    ready = [np.stack([views[k] for views in made[i : i + BATCH]]) for k in range(4) for i in range(0, PHOTOS, BATCH)]
    chips = PHOTOS * len(TRAIN_VIEWS)
    turn = turns(whole.backbone)

    def look(batch: NDArray[np.uint8]) -> None:
        with turn:
            whole.backbone(batch)

    works: dict[str, Callable[[], object]] = {
        "backbone alone": lambda: list(in_order(look, ready)),
        "photographs to chips of four views": lambda: list(part.chips(TRAIN_VIEWS, BATCH)),
        "photographs to stored features": lambda: _extract(part),
    }
    for work in works.values():
        work()
    wall: dict[str, list[float]] = {name: [] for name in works}
    cpu: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start, before = time.perf_counter(), time.process_time()
            work()
            wall[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - before)
    alone, _, stored = (median(times) for times in wall.values())
    return {
        "chips a second": {name: chips / median(times) for name, times in wall.items()},
        "processor milliseconds a chip": {name: 1e3 * median(times) / chips for name, times in cpu.items()},
        "share of the backbone's own speed": alone / stored,
        "threads": {"torch": torch.get_num_threads(), "OpenCV": cv2.getNumThreads()},
        "photographs": PHOTOS,
    }


def _extract(source: FeatureSource) -> None:
    with tempfile.TemporaryDirectory() as folder:
        replace(source, cache=Path(folder)).features(TRAIN_VIEWS, show=False)


def memory(data: Path) -> dict[str, float]:
    """MB, each in a process of its own: reading all of the cache through its memory map, and loading it to train."""
    figures: dict[str, float] = {}
    for work in (_read_through, _loaded):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            figures |= pool.apply(work, (data,))
    return figures


def _read_through(path: Path) -> dict[str, float]:
    """Private memory at its peak while every row of every view is read, a block at a time; and the pages of files that
    this brought in, which the system may take back."""
    source = bench_of(path).source
    source.features(TRAIN_VIEWS, show=False)  # computes what is not there yet
    before = private_memory("RssFile")
    views: list[Features] = []

    def look() -> None:
        views.extend(source.features(TRAIN_VIEWS, show=False).values())
        for view in views:
            for start in range(0, len(view), BATCH):
                for array in (view.mean, view.feature_map, view.norm, view.sharpness):
                    array[start : start + BATCH].astype(np.float64).sum()

    peak = peak_while(look)
    pages = private_memory("RssFile") - before
    sizes = {"read through the map, private peak": peak, "read through the map, pages of files": pages}
    return {f"{name}, MB": size / 2**20 for name, size in sizes.items()}


def _loaded(path: Path) -> dict[str, float]:
    """Private memory at its peak and afterwards, beyond what was there before; what the returned arrays hold (float16
    maps are copied, for training draws its rows at random); what the files do."""
    bench = bench_of(path)
    head = find_method("pfe").recipe(bench.source.backbone).pooling_head()
    kept: list[TrainingData] = []
    before = private_memory()
    peak = peak_while(lambda: kept.append(training_data(bench.source, TRAIN_VIEWS, head, show=False)))
    after = private_memory()
    held = sum(tensor.numel() * tensor.element_size() for tensor in (kept[0].pooled, kept[0].mean))
    files = sum(file.stat().st_size for view in TRAIN_VIEWS for file in bench.source.folder(view).glob("*.npy"))
    sizes = {"peak": peak, "peak beyond what is returned": peak - held, "afterwards": after - before}
    sizes |= {"features returned": held, "cached files": files}
    return {f"{name}, MB": size / 2**20 for name, size in sizes.items()}


def methods(data: Path, done: dict[str, Any], names: Sequence[str] = FAMILY) -> Iterator[dict[str, Any]]:
    """Seconds of both cross-fitted heads, features cached, of every method that ``done`` does not have; ``done`` grows.

    One run each: a method's first training may load and compile what others find ready, so that a short one comes
    before. Yields after every method, for the file to be written.
    """
    bench = bench_of(data)
    for name in names:
        if name in done:
            continue
        recipe = named_recipe(name, bench.source.backbone)
        train_both(bench, recipe, TrainOptions(steps=20))
        done[name] = train_both(bench, recipe, TrainOptions())
        print(f"  {name}: {done[name]['seconds']:.3g} s", file=sys.stderr, flush=True)
        yield done
