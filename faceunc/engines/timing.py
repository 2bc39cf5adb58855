"""Engines timed against each other: many batches as ``faceunc embed`` runs them, and one chip alone."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.embedder import Embedder
from faceunc.engines.base import Engine
from faceunc.heads.store import StoredHead
from faceunc.progress import bar
from faceunc.threads import MOST_WORKERS, in_order

_LEAST_ROUNDS, _BATCHES_A_WORKER, _WARM_UP = 5, 4, 3


@dataclass(frozen=True)
class Times:
    """One engine's seconds, a round each: a chip among many (``many``), and a chip alone (``one``)."""

    many: list[float] = field(default_factory=list)
    one: list[float] = field(default_factory=list)


def measure_rounds(
    engines: Mapping[str, Engine], head: StoredHead, full: NDArray[np.uint8], seconds: float, show: bool | None
) -> dict[str, Times]:
    """Times of every engine. Each round runs all in another order: a slow minute of the machine hits all alike.

    Args:
        full: one batch, uint8 (N, S, S, 3); a round runs several of them side by side, with an embedder's threads and
            locks. seconds: of timing for each engine, about; at least five rounds.
    """
    works = {name: _side_by_side(engine, head, full) for name, engine in engines.items()}
    one = full[:1]
    with bar("warm up", len(engines), "engine", show=show) as progress:
        for name, engine in engines.items():
            works[name](2)
            for _ in range(_WARM_UP):
                engine.embed(one)
            progress.update()
    start = time.perf_counter()
    times = {name: Times() for name in engines}
    for name, engine in engines.items():
        _round(times[name], engine, works[name], one, len(full))
    count = max(_LEAST_ROUNDS, round(seconds * len(engines) / (time.perf_counter() - start)))
    shuffled, order = random.Random(0), list(engines)
    with bar("measure", count, "round", initial=1, show=show) as progress:
        for _ in range(count - 1):
            shuffled.shuffle(order)
            for name in order:
                _round(times[name], engines[name], works[name], one, len(full))
            progress.update()
    return times


def _side_by_side(engine: Engine, head: StoredHead, full: NDArray[np.uint8]) -> Callable[[int], int]:
    """Runs so many batches a worker, and tells how many that were."""
    embedder, ids = Embedder(engine, head, aligned=True), [str(number) for number in range(len(full))]

    def run(batches_a_worker: int) -> int:
        batches = batches_a_worker * min(torch.get_num_threads(), MOST_WORKERS)
        deque(in_order(lambda chips: embedder.embed_chips(chips, ids), [full] * batches), maxlen=0)
        return batches

    return run


def _round(times: Times, engine: Engine, work: Callable[[int], int], one: NDArray[np.uint8], chips: int) -> None:
    """An untimed call first puts the threads of the engine before to sleep."""
    engine.embed(one)
    start = time.perf_counter()
    engine.embed(one)
    between = time.perf_counter()
    batches = work(_BATCHES_A_WORKER)
    times.one.append(between - start)
    times.many.append((time.perf_counter() - between) / (batches * chips))
