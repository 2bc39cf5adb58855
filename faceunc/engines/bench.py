"""Every engine of this machine measured in one run: chips a second, and agreement with torch in float32."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.engines.base import Engine
from faceunc.engines.names import ENGINES, REFERENCE
from faceunc.engines.parity import Parity, parity
from faceunc.engines.registry import default_engine, find_engine, load_engine, unavailable
from faceunc.engines.timing import Times, measure_rounds
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead
from faceunc.progress import bar

COMPILED = tuple(name for name, kind in ENGINES.items() if kind.runtime == "compile")


@dataclass(frozen=True)
class EngineSpeed:
    """One engine's figures.

    Attributes:
        name, precision: of the engine. chips_per_second: median over rounds of many batches, run as ``faceunc embed``
            runs them. quartiles: the first and the third of the same. one_chip_ms: median of a single call with one
            chip. ratio: chips_per_second over that of torch in float32. load_seconds: until its first answer.
        parity: against torch in float32.
    """

    name: str
    precision: str
    chips_per_second: float
    quartiles: tuple[float, float]
    one_chip_ms: float
    ratio: float
    load_seconds: float
    parity: Parity


@dataclass(frozen=True)
class BenchResult:
    """What a run found.

    Attributes:
        backbone, head: that were run. batch: chips a call. threads: of the processor. rounds: timings behind each
            median. chips: compared. default: the engine that ``faceunc embed`` uses when none is named.
        engines: in the order of :data:`ENGINES`. missing: engine -> why it was not run, and what helps.
    """

    backbone: str
    head: str
    batch: int
    threads: int
    rounds: int
    chips: int
    default: str
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
    required: Sequence[str] = (),
) -> BenchResult:
    """Measure engines against each other.

    Args:
        backbone: in float32. chips: real faces, uint8 (N, S, S, 3), compared and (repeated as needed) timed.
        batch: chips a call. seconds: of timing for each engine, about; at least five rounds.
        names: engines to run, torch is added; None for all but those that compile. One that cannot run is told in
            ``missing``. show: progress; None: on a terminal. required: engines to run that must not be missing.

    Raises:
        InputError: no chips, an unknown name, or a required engine that cannot run here (the message says why).
    """
    if not len(chips):
        raise InputError("expected chips to measure with, got none")
    asked = names if names is not None else [name for name in ENGINES if name not in COMPILED]
    wanted = {*asked, *required, REFERENCE}
    for name in (*asked, *required):
        find_engine(name)
    for name in required:
        reason = unavailable(find_engine(name))
        if reason:
            raise InputError(f"engine {name} {reason}")
    ordered = [name for name in ENGINES if name in wanted]
    engines, loading, missing = _load_all(ordered, head, backbone, chips, required, show)
    full = np.concatenate([chips] * -(-batch // len(chips)))[:batch]
    times = measure_rounds(engines, head, full, seconds, show)
    reference = engines[REFERENCE].embed(chips)
    base = median(_rates(times[REFERENCE]))
    rows = [
        _row(engine, times[name], base, loading[name], parity(engine.embed(chips), reference, engine.precision))
        for name, engine in engines.items()
    ]
    threads, rounds = torch.get_num_threads(), len(times[REFERENCE].many)
    default = default_engine(backbone)
    return BenchResult(backbone.spec.name, head.name, batch, threads, rounds, len(chips), default, rows, missing)


def _rates(times: Times) -> list[float]:
    return [1.0 / seconds for seconds in times.many]


def _row(engine: Engine, times: Times, base: float, loading: float, found: Parity) -> EngineSpeed:
    low, middle, high = quantiles(_rates(times), n=4, method="inclusive")
    one = 1000.0 * median(times.one)
    return EngineSpeed(engine.name, engine.precision, middle, (low, high), one, middle / base, loading, found)


def _load_all(
    names: Sequence[str],
    head: StoredHead,
    backbone: Backbone,
    chips: NDArray[np.uint8],
    required: Sequence[str],
    show: bool | None,
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
                if name in (*required, REFERENCE):
                    raise
                reason = str(error)
            if reason:
                missing[name] = reason
            progress.update()
    return engines, seconds, missing
