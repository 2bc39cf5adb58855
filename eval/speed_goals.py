"""The goals of speed, and where their figures stand in speed.json; for eval/speed.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_CASES = ("per-dimension, D = 128", "scalar, D = 128", "per-dimension, D = 512")
_AGREEMENT = "agreement with plain MTCNN, min face 40"


@dataclass(frozen=True)
class Goal:
    """One line of the table.

    Attributes:
        section: of speed.json. path: keys from its figures to the number. goal: to be reached, from below unless
            ``most``. name: shown; the path when empty.
    """

    section: str
    path: tuple[str, ...]
    goal: float
    most: bool = False
    name: str = ""


@dataclass(frozen=True)
class Outcome:
    """A goal and what was measured."""

    goal: Goal
    value: float

    @property
    def reached(self) -> bool:
        """Whether it was."""
        return self.value <= self.goal.goal if self.goal.most else self.value >= self.goal.goal

    def row(self) -> tuple[str, str, str, str, str]:
        """(section, figure, measured, goal, reached), for a table."""
        sign = "<=" if self.goal.most else ">="
        name = self.goal.name or " / ".join(self.goal.path)
        return self.goal.section, name, f"{self.value:.4g}", f"{sign} {self.goal.goal:g}", _yes(self.reached)


def _yes(reached: bool) -> str:
    return "yes" if reached else "NO"


GOALS = (
    *(Goal("scoring", ("all pairs", case, "of the limit"), 0.5) for case in _CASES),
    *(Goal("scoring", ("all pairs", case, "times PFE's loop"), 15.0) for case in _CASES),
    *(Goal("scoring", ("all pairs", case, "times eager torch"), 40.0) for case in _CASES),
    *(Goal("scoring", ("error", case, "relative to the terms"), 2e-6, most=True) for case in _CASES),
    *(Goal("scoring", ("top-k", kind, "k = 10", "identical"), 1.0) for kind in ("per-dimension", "scalar")),
    Goal("extraction", ("ratios", "faceunc / plain"), 2.5),
    Goal("extraction", ("ratios", "faceunc / plain 40"), 2.5),
    Goal("extraction", ("ratios", "faceunc / face_recognition"), 8.0),
    Goal("extraction", (_AGREEMENT, "mtcnn", "share"), 0.995),
    Goal("extraction", (_AGREEMENT, "mtcnn", "landmark shift, median"), 1.0, most=True),
    Goal("extraction", ("chips", "chips/s, arrays to embeddings"), 600.0),
    Goal("extraction", ("chips", "chips/s, files to result"), 600.0),
    Goal("extraction", ("chips", "head's share of embedding"), 0.02, most=True),
    *(
        Goal("training", ("both heads", kind, "seconds"), 20.0, most=True, name=f"both PFE heads, {kind}: seconds")
        for kind in ("per-dimension", "scalar")
    ),
)
_COSINE = {"float32": 1e-4, "bfloat16": 1e-4}  # of the distance; the issue asks .9999 of the cosine for bfloat16


def outcomes(sections: Mapping[str, Any]) -> list[Outcome]:
    """Every goal whose figure was measured; one more for the parity of each engine, and for each exponent."""
    figures = {name: section["figures"] for name, section in sections.items()}
    goals = [*GOALS, *_engine_goals(figures), *_growth_goals(figures)]
    found = [(goal, _at(figures.get(goal.section), goal.path)) for goal in goals]
    return [Outcome(goal, float(value)) for goal, value in found if value is not None]


def _engine_goals(figures: Mapping[str, Any]) -> Iterator[Goal]:
    for name, row in figures.get("engines", {}).get("engines", {}).items():
        path = ("engines", name, "parity", "cosine_distance")
        yield Goal("engines", path, _COSINE[row["precision"]], most=True, name=f"{name}: cosine distance to torch")


def _growth_goals(figures: Mapping[str, Any]) -> Iterator[Goal]:
    """An exponent may lie a tenth above that of the algorithm: fitted on three points."""
    for section, found in figures.items():
        if section.startswith("growth."):
            limit = found["exponent of the algorithm"] + 0.1
            yield Goal(section, ("fitted exponent",), limit, most=True)


def _at(figures: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(figures, Mapping) or key not in figures:
            return None
        figures = figures[key]
    return figures
