"""What of the measured sections is drawn: speed.png and speed-growth.png, by eval/speed.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceunc.plots.speed import Bars, Growth, save_growth, save_speed

_WORKS = {
    "embedding": "embed N chips",
    "pairs": "all pairs i < j of N",
    "search": "best 20 of N, 1,000 probes",
    "pooling": "pool N images",
    "roc": "ROC of N stored scores",
}


def draw(sections: Mapping[str, Any], out: Path) -> None:
    """Both pictures, as far as their sections were measured."""
    figures = {name: section["figures"] for name, section in sections.items()}
    makers = {
        "scoring": scoring,
        "extraction": extraction,
        "engines": engines,
        "training": training,
        "methods": methods,
    }
    panels = [maker(figures[name]) for name, maker in makers.items() if name in figures]
    if panels:
        save_speed(panels, out / "speed.png", "Speed on two cores; blue: ours")
    works = {name.partition(".")[2]: found for name, found in figures.items() if name.startswith("growth.")}
    if works:
        growth(works, out / "speed-growth.png")


def scoring(figures: Mapping[str, Any]) -> Bars:
    """Million pairs a second against the limit of the machine."""
    case = "per-dimension, D = 128"
    found = figures["all pairs"][case]
    ours = [name for name in found["Mpairs/s"] if name.startswith("ours")]
    limits = {"limit of multiply-adds": found["limit, Mpairs/s"], "half of it (goal)": 0.5 * found["limit, Mpairs/s"]}
    return Bars(f"All pairs by MLS, {case}", "million pairs a second", found["Mpairs/s"], ours, limits, log=True)


def extraction(figures: Mapping[str, Any]) -> Bars:
    """Photographs a second, from JPEG files to a stored result."""
    rates = {name: rate for name, rate in figures["images/s"].items() if not isinstance(rate, str)}
    ours = [name for name in rates if name.startswith("faceunc")]
    return Bars(
        "Extraction, files to stored result", "photographs a second", rates, ours, {"goal": 2.5 * rates["plain"]}
    )


def engines(figures: Mapping[str, Any]) -> Bars:
    """Aligned chips a second of every engine."""
    rates = {name: row["chips_per_second"] for name, row in figures["engines"].items()}
    return Bars(f"Engines, batch of {figures['batch']}", "chips a second", rates, list(rates))


def training(figures: Mapping[str, Any]) -> Bars:
    """Seconds of both cross-fitted heads."""
    seconds = {f"PFE, {name}": one["seconds"] for name, one in figures["both heads"].items()}
    return Bars("Training both heads from cached features", "seconds", seconds, list(seconds), {"goal": 20.0})


def methods(figures: Mapping[str, Any]) -> Bars:
    """Seconds of both cross-fitted heads of every method."""
    seconds = {name: one["seconds"] for name, one in figures.items()}
    return Bars("Training, every method", "seconds, both heads", seconds, list(seconds))


def growth(works: Mapping[str, Any], path: Path) -> None:
    """Cost against N, and the memory of what is streamed."""
    lines = {
        _WORKS[name]: Growth(one["N"], one["seconds"], one["fitted exponent"], one["fitted factor"], one["fitted on N"])
        for name, one in works.items()
    }
    peaks = {
        _WORKS[name]: {float(size): peak for size, peak in one["peak memory, MB"].items()}
        for name, one in works.items()
        if "peak memory, MB" in one
    }
    save_growth(lines, peaks, path, "Cost against size, two cores")
