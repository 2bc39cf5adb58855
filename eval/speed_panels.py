"""What of the measured sections is drawn: speed.png and speed-growth.png, by eval/speed.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speed_goals import GOALS, outcomes

from faceunc.plots.speed import Bars, Growth, save_growth, save_speed

_WORKS = {
    "embedding": "embed N chips",
    "pairs": "all pairs i < j of N",
    "search": "best 20 of N, 1,000 probes",
    "pooling": "pool N images",
    "roc": "ROC of N stored scores",
}
_PEAKS = {
    ("growth.pairs", "peak memory, MB"): "histogram, 1,000 x N",
    ("growth.pairs", "peak memory of blocks, MB"): "blocks, 1,000 x N",
    ("growth.search", "peak memory, MB"): "best 20 of N",
}
_RESIDENT = {"memory.aligned": "aligned chips", "memory.photographs": "with detection"}


def draw(sections: Mapping[str, Any], out: Path) -> None:
    """Both pictures, as far as their sections were measured."""
    figures = {name: section["figures"] for name, section in sections.items()}
    makers = (
        ("scoring", scoring),
        ("extraction", extraction),
        ("engines", engines),
        ("extraction", chips),
        ("methods", methods),
        ("training", training),
    )
    panels = [maker(figures[name]) for name, maker in makers if name in figures]
    if panels:
        save_speed(panels, out / "speed.png", "Speed on two cores; blue: ours")
    works = {name.partition(".")[2]: found for name, found in figures.items() if name.startswith("growth.")}
    if works:
        growth(works, sections, out / "speed-growth.png")


def scoring(figures: Mapping[str, Any]) -> Bars:
    """Million pairs a second against the limit of the machine."""
    case = "per-dimension, D = 128"
    found = figures["all pairs"][case]
    rates = found["Mpairs/s"]
    ours = [name for name in rates if name.startswith("ours")]
    limit = found["limit, Mpairs/s"]
    goals = {"half the limit": 0.5 * limit}
    goals |= {f"{times} x {name}": times * rates[name] for name, times in (("PFE's loop", 15), ("eager torch", 40))}
    return Bars(f"All pairs by MLS, {case}", "million pairs a second", rates, ours, _goals(goals), log=True)


def extraction(figures: Mapping[str, Any]) -> Bars:
    """Photographs a second, from JPEG files to a stored result."""
    rates = {name: rate for name, rate in figures["images/s"].items() if not isinstance(rate, str)}
    ours = [name for name in rates if name.startswith("faceunc")]
    goals = {"2.5 x plain": 2.5 * rates["plain"]}
    if "face_recognition" in rates:
        goals["8 x face_recognition"] = 8.0 * rates["face_recognition"]
    return Bars("Extraction, files to stored result", "photographs a second", rates, ours, _goals(goals))


def chips(figures: Mapping[str, Any]) -> Bars:
    """Aligned chips a second."""
    rates = {name.removeprefix("chips/s, "): rate for name, rate in figures["chips"].items() if "chips/s" in name}
    return Bars("Aligned chips", "chips a second", rates, list(rates), {"goal": _goal("chips/s, files to result")})


def engines(figures: Mapping[str, Any]) -> Bars:
    """Aligned chips a second of every engine."""
    rates = {name: row["chips_per_second"] for name, row in figures["engines"].items()}
    return Bars(f"Engines, batch of {figures['batch']}", "chips a second", rates, list(rates))


def training(figures: Mapping[str, Any]) -> Bars:
    """Seconds of both cross-fitted heads."""
    seconds = {f"PFE, {name}": one["seconds"] for name, one in figures["both heads"].items()}
    return Bars(
        "Training both heads from cached features", "seconds", seconds, list(seconds), {"goal": _goal("seconds")}
    )


def methods(figures: Mapping[str, Any]) -> Bars:
    """Seconds of both cross-fitted heads of every method."""
    seconds = {name: one["seconds"] for name, one in figures.items()}
    return Bars("Training, every method", "seconds, both heads", seconds, list(seconds))


def growth(works: Mapping[str, Any], sections: Mapping[str, Any], path: Path) -> None:
    """Cost against N, the memory of what is streamed, and what the goals allow at the largest N."""
    lines = {
        _WORKS[name]: Growth(
            one["N"],
            one["seconds"],
            one["fitted exponent"],
            one["fitted factor"],
            one["fitted on N"],
            one["exponent of the algorithm"],
        )
        for name, one in works.items()
    }
    peaks = {
        label: {float(size): peak for size, peak in works[section.partition(".")[2]][key].items()}
        for (section, key), label in _PEAKS.items()
        if key in works.get(section.partition(".")[2], {})
    }
    resident = {
        label: {float(key.rsplit(" ", 1)[1]): value for key, value in figures.items() if key.startswith("RSS after")}
        for label, figures in ((_RESIDENT[name], sections[name]["figures"]) for name in _RESIDENT if name in sections)
    }
    save_growth(lines, peaks, path, "Cost against size, two cores", limits(sections), resident)


def limits(sections: Mapping[str, Any]) -> dict[str, float]:
    """MB that the goals of flat memory allow at the largest N, by the names in the pictures."""
    found = {}
    for outcome in outcomes(sections):
        goal = outcome.goal
        label = _PEAKS.get((goal.section, goal.path[0])) or _RESIDENT.get(goal.section)
        if label and goal.over and outcome.value is not None:
            base: Any = sections[goal.section]["figures"]
            for key in goal.over:
                base = base[key]
            found[label] = goal.goal * base
    return found


def _goals(values: Mapping[str, float]) -> dict[str, float]:
    """The goals of one panel; the first says so."""
    return {name if number else f"goals: {name}": value for number, (name, value) in enumerate(values.items())}


def _goal(key: str) -> float:
    """The number asked of the first goal whose path ends so."""
    return next(goal.goal for goal in GOALS if goal.path[-1] == key)
