"""The goals of speed, and where their figures stand in speed.json; for eval/speed.py.

Memory is called flat by three criteria. Streamed scoring: private memory in use with 1,000,000 columns at most 1.2
times that with 100,000, where all buffers have their full size (gallery and labels are inputs). A long extraction:
resident memory after the last photograph at most 1.1 times that after 10,000. The cache of training: private memory
while all of it is read at most a tenth of its files; while it is loaded for training, which copies the features, at
most half of the files' size beyond that copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from speed_store import WORKS

from faceunc.engines.names import ENGINES, REFERENCE

_CASES = ("per-dimension, D = 128", "scalar, D = 128", "per-dimension, D = 512")
_AGREEMENT = "agreement with plain MTCNN, min face 40"
_COSINE = (
    1e-4  # of the distance to torch: asked of float32; bfloat16 may differ by .9999 of the cosine, which is as much
)


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        section: of speed.json. path: keys from its figures to the number. goal: to be reached, from below unless
            ``most``. name: shown; the path when empty. over: keys to the number that the first one is divided by.
    """

    section: str
    path: tuple[str, ...]
    goal: float
    most: bool = False
    name: str = ""
    over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A goal and what was measured: None when it was not, or could not be."""

    goal: Goal
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether it was; None when nothing was measured."""
        if self.value is None:
            return None
        return self.value <= self.goal.goal if self.goal.most else self.value >= self.goal.goal

    def row(self) -> tuple[str, str, str, str, str]:
        """(section, figure, measured, goal, reached), for a table."""
        sign = "<=" if self.goal.most else ">="
        name = self.goal.name or ", ".join(self.goal.path)
        measured = "not measured" if self.value is None else f"{self.value:.4g}"
        reached = {True: "yes", False: "NO", None: "-"}[self.reached]
        return self.goal.section, name, measured, f"{sign} {self.goal.goal:g}", reached


GOALS = (
    *(Goal("scoring", ("all pairs", case, "of the limit"), 0.5) for case in _CASES),
    *(Goal("scoring", ("all pairs", case, "times PFE's loop"), 15.0) for case in _CASES),
    *(Goal("scoring", ("all pairs", case, "times eager torch"), 40.0) for case in _CASES),
    *(Goal("scoring", ("error", case, "relative to the terms"), 2e-6, most=True) for case in _CASES),
    *(
        Goal("scoring", ("top-k", kind, f"k = {k}", "identical"), 1.0, name=f"top-{k}, {kind}: same as without bounds")
        for kind in ("per-dimension", "scalar")
        for k in (1, 10, 100)
    ),
    Goal("extraction", ("ratios", "faceunc / plain"), 2.5),
    Goal("extraction", ("ratios", "faceunc / plain 40"), 2.5),
    Goal("extraction", ("ratios", "faceunc / face_recognition"), 8.0),
    Goal("extraction", (_AGREEMENT, "mtcnn", "share"), 0.995),
    Goal("extraction", (_AGREEMENT, "mtcnn", "landmark shift, median"), 1.0, most=True),
    Goal("extraction", ("chips", "chips/s, arrays to embeddings"), 600.0),
    Goal("extraction", ("chips", "chips/s, files to result, --no-measures"), 600.0),
    Goal("extraction", ("chips", "chips/s, files to result"), 600.0),
    Goal("extraction", ("chips", "head's share of embedding"), 0.02, most=True),
    *(
        Goal("training", ("both heads", kind, "seconds"), 20.0, most=True, name=f"both PFE heads, {kind}: seconds")
        for kind in ("per-dimension", "scalar")
    ),
)


def _memory(section: str, key: str, goal: float, name: str, over: str, *group: str) -> Goal:
    return Goal(section, (*group, key), goal, most=True, name=name, over=(*group, over))


_STREAMED = (
    ("growth.pairs", "peak memory, MB", "histogram of 1,000 rows against N"),
    ("growth.pairs", "peak memory of blocks, MB", "blocks of 1,000 rows against N"),
    ("growth.search", "peak memory, MB", "top-k of 1,000 probes in N"),
)
MEMORY = (
    *(
        _memory(section, "1000000", 1.2, f"memory, {what}: 1e6 over 1e5", "100000", group)
        for section, group, what in _STREAMED
    ),
    *(
        _memory(
            "training", f"{key}, MB", goal, f"memory, {name}, over the size of its files", "cached files, MB", "memory"
        )
        for key, goal, name in (
            ("read through the map, private peak", 0.1, "cache read through"),
            ("peak beyond what is returned", 0.5, "cache loaded, beyond the copy"),
        )
    ),
)


def outcomes(sections: Mapping[str, Any]) -> list[Outcome]:
    """Every goal, measured or not: those above, the parity of each engine, each exponent, and long extractions."""
    figures = {name: section["figures"] for name, section in sections.items()}
    goals = [*GOALS, *_engine_goals(), *_growth_goals(figures), *MEMORY, *_extraction_goals(figures)]
    return [Outcome(goal, _value(figures.get(goal.section), goal)) for goal in goals]


def _value(figures: Any, goal: Goal) -> float | None:
    value = _number(figures, goal.path)
    if value is None or not goal.over:
        return value
    below = _number(figures, goal.over)
    return value / below if below else None


def _engine_goals() -> Iterator[Goal]:
    for name in ENGINES:
        if name != REFERENCE:
            path = ("engines", name, "parity", "cosine_distance")
            yield Goal("engines", path, _COSINE, most=True, name=f"{name}: cosine distance to {REFERENCE}")


def _growth_goals(figures: Mapping[str, Any]) -> Iterator[Goal]:
    """An exponent may lie a tenth above that of the algorithm: fitted on three points."""
    for section in (f"growth.{work}" for work in WORKS):
        algorithm = _number(figures.get(section), ("exponent of the algorithm",))
        limit = (2.0 if section == "growth.pairs" else 1.0) if algorithm is None else algorithm
        yield Goal(section, ("fitted exponent",), limit + 0.1, most=True)


def _extraction_goals(figures: Mapping[str, Any]) -> Iterator[Goal]:
    """However many photographs were run, 10,000 at least."""
    for section in ("memory.aligned", "memory.photographs"):
        count = _number(figures.get(section), ("photographs",))
        last = 100_000 if count is None or count <= 10_000 else int(count)
        name = f"resident memory, after {last:,} over after 10,000"
        yield _memory(section, f"RSS after {last}", 1.1, name, "RSS after 10000")


def _number(figures: Any, path: tuple[str, ...]) -> float | None:
    for key in path:
        if not isinstance(figures, Mapping) or key not in figures:
            return None
        figures = figures[key]
    return float(figures) if isinstance(figures, int | float) else None  # text: why there is none
