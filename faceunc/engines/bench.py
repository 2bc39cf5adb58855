"""Every engine of this machine measured in one run: chips a second, and agreement with torch in float32."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.engines.base import Engine
from faceunc.engines.names import ENGINES, REFERENCE
from faceunc.engines.parity import Parity, parity
from faceunc.engines.registry import find_engine, load_engine, unavailable
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead
from faceunc.progress import bar

COMPILED = tuple(name for name, kind in ENGINES.items() if kind.runtime == "compile")
_LEAST_ROUNDS, _WARM_UP = 5, 3


@dataclass(frozen=True)
class EngineSpeed:
    """One engine's figures.

    Attributes:
        name, precision: of the engine. chips_per_second: at the batch of the run. one_chip_ms: at batch 1.
        ratio: chips_per_second over that of torch in float32. load_seconds: until its first answer.
        parity: against torch in float32.
    """

    name: str
    precision: str
    chips_per_second: float
    one_chip_ms: float
    ratio: float
    load_seconds: float
    parity: Parity


@dataclass(frozen=True)
class BenchResult:
    """What a run found.

    Attributes:
        backbone, head: that were run. batch: chips a call. rounds: timings behind each median. chips: compared.
        engines: in the order of :data:`ENGINES`. missing: engine -> why it was not run, and what helps.
    """

    backbone: str
    head: str
    batch: int
    rounds: int
    chips: int
    engines: list[EngineSpeed]
    missing: dict[str, str]

    def fastest(self, precision: str | None = None) -> EngineSpeed:
        """The engine that passes with the most chips a second (of one precision); torch always passes."""
        rows = [row for row in self.engines if row.parity.passes and precision in (None, row.precision)]
        return max(rows, key=lambda row: row.chips_per_second)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the choice."""
        rows = {row.name: {**asdict(row), "passes": row.parity.passes} for row in self.engines}
        return {**asdict(self), "engines": rows, "fastest": self.fastest().name}


def run_bench(
    head: StoredHead,
    backbone: Backbone,
    chips: NDArray[np.uint8],
    batch: int = 32,
    seconds: float = 3.0,
    names: Sequence[str] | None = None,
    show: bool | None = None,
) -> BenchResult:
    """Measure engines against each other.

    Args:
        backbone: in float32. chips: real faces, uint8 (N, S, S, 3), compared and (repeated as needed) timed.
        batch: chips a call. seconds: of timing for each engine, about; at least five rounds.
        names: engines to run, torch is added; None for all but those that compile. show: progress; None: on a terminal.

    Raises:
        InputError: no chips, or an unknown name.
    """
    if not len(chips):
        raise InputError("expected chips to measure with, got none")
    wanted = set(names if names is not None else (name for name in ENGINES if name not in COMPILED))
    for name in wanted:
        find_engine(name)
    ordered = [name for name in ENGINES if name in wanted | {REFERENCE}]
    engines, loading, missing = _load_all(ordered, head, backbone, chips, show)
    full = np.concatenate([chips] * -(-batch // len(chips)))[:batch]
    times, rounds = _rounds(engines, full, seconds, show)
    reference, base = engines[REFERENCE].embed(chips), times[REFERENCE][0]
    rows = [
        EngineSpeed(
            name,
            engine.precision,
            batch / times[name][0],
            1000.0 * times[name][1],
            base / times[name][0],
            loading[name],
            parity(engine.embed(chips), reference, engine.precision),
        )
        for name, engine in engines.items()
    ]
    return BenchResult(backbone.spec.name, head.name, batch, rounds, len(chips), rows, missing)


def _load_all(
    names: Sequence[str], head: StoredHead, backbone: Backbone, chips: NDArray[np.uint8], show: bool | None
) -> tuple[dict[str, Engine], dict[str, float], dict[str, str]]:
    """(engines, seconds to the first answer, why the others could not)."""
    engines: dict[str, Engine] = {}
    seconds, missing = {}, {}
    with bar("load", len(names), "engine", show=show) as progress:
        for name in names:
            progress.set_postfix_str(name)
            reason, start = unavailable(find_engine(name)), time.perf_counter()
            try:
                if not reason:
                    engine = load_engine(name, head, backbone)
                    engine.embed(chips[:1])
                    engines[name], seconds[name] = engine, time.perf_counter() - start
            except InputError as error:  # this engine does not run this model
                reason = str(error)
            if reason:
                missing[name] = reason
            progress.update()
    return engines, seconds, missing


def _rounds(
    engines: dict[str, Engine], full: NDArray[np.uint8], seconds: float, show: bool | None
) -> tuple[dict[str, tuple[float, float]], int]:
    """Median seconds of (a batch, one chip) by engine, and the number of rounds.

    Every round runs every engine in another order, so that a slow minute of the machine hits all alike.
    """
    one = full[:1]
    with bar("warm up", len(engines), "engine", show=show) as progress:
        for engine in engines.values():
            for _ in range(_WARM_UP):
                engine.embed(full)
                engine.embed(one)
            progress.update()
    start = time.perf_counter()
    times = {name: [_timed(engine, full, one)] for name, engine in engines.items()}
    count = max(_LEAST_ROUNDS, round(seconds * len(engines) / (time.perf_counter() - start)))
    shuffled, order = random.Random(0), list(engines)
    with bar("measure", count, "round", initial=1, show=show) as progress:
        for _ in range(count - 1):
            shuffled.shuffle(order)
            for name in order:
                times[name].append(_timed(engines[name], full, one))
            progress.update()
    return {name: (median(a for a, _ in both), median(b for _, b in both)) for name, both in times.items()}, count


def _timed(engine: Engine, full: NDArray[np.uint8], one: NDArray[np.uint8]) -> tuple[float, float]:
    """Seconds of a batch and of one chip; an untimed call first puts the threads of the engine before to sleep."""
    engine.embed(one)
    return _seconds(lambda: engine.embed(full)), _seconds(lambda: engine.embed(one))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
