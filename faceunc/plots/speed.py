"""Pictures of speed: bars against a goal or a limit, and cost against size on double-logarithmic axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OURS, _OTHERS = "#0072B2", "0.65"
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_ROWS = 4  # a panel has room for as many bars at least


@dataclass(frozen=True)
class Bars:
    """One panel.

    Attributes:
        title, unit: of the panel and its axis. values: by name, drawn from top to bottom. ours: names that are drawn in
            colour, the rest in grey. lines: name -> value, dashed across (a goal, a limit). log: logarithmic axis.
    """

    title: str
    unit: str
    values: Mapping[str, float]
    ours: Sequence[str] = ()
    lines: Mapping[str, float] | None = None
    log: bool = False


@dataclass(frozen=True)
class Growth:
    """Cost of one work.

    Attributes:
        sizes: N, ascending. seconds: of each. exponent, factor: of the fitted ``seconds = factor N^exponent``.
        fitted: the sizes that it was fitted on. algorithm: exponent that the algorithm has; None: not said.
    """

    sizes: Sequence[float]
    seconds: Sequence[float]
    exponent: float
    factor: float
    fitted: Sequence[float]
    algorithm: float | None = None


def plot_bars(bars: Bars, ax: Axes | None = None) -> Axes:
    """Horizontal bars with their values written at the end; the names of the lines stand above, beside no bar."""
    ax = ax or _axes()
    names = list(bars.values)
    values = [bars.values[name] for name in names]
    drawn = ax.barh(range(len(names)), values, color=[_OURS if name in bars.ours else _OTHERS for name in names])
    shown = ax.bar_label(drawn, [f"{value:.3g}" for value in values], padding=3, fontsize=9, zorder=4)
    for label in shown:  # readable where a line crosses it
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85})
    for number, (name, value) in enumerate((bars.lines or {}).items()):
        ax.axvline(value, color="black", linestyle=("--", ":", "-.")[number % 3], linewidth=1.1, label=name)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.set_ylim(max(len(names), _ROWS) - 0.5, -0.5)  # from top to bottom, few bars no thicker than many
    ax.set_xlabel(bars.unit)
    ax.set_title(bars.title, loc="left", fontsize=11, pad=20 if bars.lines else 6)
    if bars.log:
        ax.set_xscale("log")
    ax.margins(x=0.18, y=0.0)
    if bars.lines:
        legend = ax.legend(fontsize=8.5, frameon=False, ncols=3, handlelength=1.6, columnspacing=1.2, borderaxespad=0.1)
        legend.set_loc("lower left")
        legend.set_bbox_to_anchor((0.0, 1.0), ax.transAxes)
        legend.set_in_layout(False)  # a long one must not make the panel narrow; the title leaves room for it
    return ax


def plot_growth(works: Mapping[str, Growth], ax: Axes | None = None) -> Axes:
    """Seconds against N; the dashed lines are the fitted powers, over the sizes that they were fitted on."""
    ax = ax or _axes()
    for number, (name, work) in enumerate(works.items()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        label = f"{name}: N^{work.exponent:.2f}"
        label += "" if work.algorithm is None else f" (algorithm: {work.algorithm:g})"
        ax.plot(work.sizes, work.seconds, marker, color=colour, markersize=5, label=label)
        ends = np.array([min(work.fitted), max(work.fitted)], float)
        ax.plot(ends, work.factor * ends**work.exponent, "--", color=colour, linewidth=1.2)
    ax.set(xscale="log", yscale="log", xlabel="N", ylabel="seconds")
    ax.grid(alpha=0.3)
    _legend_below(ax, 1)
    return ax


def plot_memory(
    works: Mapping[str, Mapping[float, float]],
    ax: Axes | None = None,
    limits: Mapping[str, float] | None = None,
    ylabel: str = "peak memory beyond the start, MB",
) -> Axes:
    """Memory in MB against N, for what is streamed; ``limits``: what the largest N may take at most, drawn as a bar."""
    ax = ax or _axes()
    for number, (name, peaks) in enumerate(works.items()):
        colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
        ax.plot(list(peaks), list(peaks.values()), color=colour, marker=marker, label=name)
        if name in (limits or {}):
            ax.plot([max(peaks)], [(limits or {})[name]], "_", color=colour, markersize=22, markeredgewidth=2)
    if limits:
        ax.plot([], [], "_", color="black", markersize=14, label="at most (goal)")
    ax.set(xscale="log", xlabel="N", ylabel=ylabel)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    if works:
        _legend_below(ax, 2)
    return ax


def _legend_below(ax: Axes, columns: int) -> None:
    ax.legend(fontsize=9, frameon=False, loc="upper left", bbox_to_anchor=(0.0, -0.13), ncols=columns)


def save_speed(panels: Sequence[Bars], path: Path, title: str) -> None:
    """One panel a group of figures, two a row. Raises OutputError; ValueError when there is nothing to draw."""
    from matplotlib.figure import Figure

    if not panels:
        raise ValueError("panels must hold at least one group of figures. Got none instead.")
    rows = -(-len(panels) // 2)
    figure = Figure(figsize=(12.0, 3.6 * rows), layout="constrained")
    grid: list[Any] = figure.subplots(rows, 2, squeeze=False).ravel().tolist()
    for bars, ax in zip(panels, grid, strict=False):
        plot_bars(bars, ax)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def save_growth(
    works: Mapping[str, Growth],
    peaks: Mapping[str, Mapping[float, float]],
    path: Path,
    title: str,
    limits: Mapping[str, float] | None = None,
    resident: Mapping[str, Mapping[float, float]] | None = None,
) -> None:
    """Left: seconds against N with the fitted exponents; right: peak memory, and below it what a long extraction holds
    (``resident``, MB by photographs). ``limits`` are of both. Raises OutputError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 8.4 if resident else 6.4), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False)[0]
    plot_growth(works, left.subplots())
    axes: list[Any] = right.subplots(2 if resident else 1, 1, squeeze=False).ravel().tolist()
    plot_memory(peaks, axes[0], _of(peaks, limits))
    if resident:
        plot_memory(resident, axes[1], _of(resident, limits), "resident memory, MB")
        axes[1].set_xlabel("photographs extracted")
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _of(works: Mapping[str, object], limits: Mapping[str, float] | None) -> dict[str, float]:
    return {name: limit for name, limit in (limits or {}).items() if name in works}


def _axes() -> Axes:
    from matplotlib.figure import Figure

    return Figure(figsize=(6.4, 4.4), layout="constrained").add_subplot()
