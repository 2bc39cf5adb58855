"""The figures of an audit: distribution of log_var, spread over dimensions, sigma against what is measured."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faceunc.names import drawable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D00")
STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (8, 3)))
_MOST_POINTS = 3000


def plot_log_var(groups: Mapping[str, Floats], limit: float, ax: Axes, words: str = "refusal limit") -> Axes:
    """Share of the photographs of each group by log_var (harmonic mean over dimensions); a line at sigma ``limit``."""
    everything = np.concatenate(list(groups.values()))
    low, high = float(everything.min()), float(everything.max())
    bins = np.linspace(low, high if high > low else low + 1e-3, 41)
    for number, (name, values) in enumerate(groups.items()):
        share = np.histogram(values, bins)[0] / len(values)
        style = STYLES[number % len(STYLES)]
        label = f"{_shown(name)} ({len(values)})"
        ax.stairs(share, bins, label=label, color=COLOURS[number % len(COLOURS)], linestyle=style, linewidth=1.6)
    ax.axvline(2 * np.log(limit), color="black", linewidth=1, label=words)
    ax.set(xlabel="log_var (higher = less certain)", ylabel="share of photographs")
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.3)
    return ax


def plot_dimensions(log_var: Floats, ax: Axes) -> Axes:
    """log_var (N, D) of each dimension, ordered by its median: 5%, 50% and 95% of the photographs."""
    low, middle, high = np.quantile(log_var, [0.05, 0.5, 0.95], axis=0)
    order = np.argsort(middle)
    x = np.arange(len(order))
    ax.fill_between(x, low[order], high[order], color="0.8", label="5% to 95% of the photographs")
    ax.plot(x, middle[order], "k-", label="median")
    ax.set(xlabel="dimension, by its median", ylabel="log_var")
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.3)
    return ax


def plot_against(
    sigma: Floats, values: Floats, words: str, correlation: float | None, ax: Axes, log: bool = False
) -> Axes:
    """sigma against one measure (``log``: on a logarithmic axis): up to 3,000 points, medians of ten equal bins."""
    good = np.flatnonzero(np.isfinite(values))
    shown = good[:: max(1, -(-len(good) // _MOST_POINTS))]
    ax.plot(values[shown], sigma[shown], ".", color="#56B4E9", markersize=2.5, alpha=0.6, rasterized=True)
    if len(good) >= 50:
        parts = np.array_split(good[np.argsort(values[good], kind="stable")], 10)
        middle = [(float(np.median(values[part])), float(np.median(sigma[part]))) for part in parts]
        ax.plot(*np.array(middle).T, "k.-", linewidth=1.4, markersize=7)
    told = "too few" if correlation is None else f"{correlation:+.2f}"
    ax.set_title(f"rank correlation {told}", fontsize=10)
    ax.set(xlabel=words, ylabel="sigma", yscale="log")
    ax.yaxis.set_major_formatter(_plain)
    ax.yaxis.set_minor_formatter(_plain)
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(_plain)
        ax.xaxis.set_minor_formatter(lambda value, _: "")
    ax.tick_params(axis="y", which="both", labelsize=8)
    ax.grid(alpha=0.3)
    return ax


def plot_severity(severity: Mapping[str, tuple[Floats, Floats]], ax: Axes) -> Axes:
    """Median sigma by severity (fifths) for each kind of degradation: kind -> (severity, sigma)."""
    edges = np.linspace(0.0, 1.0, 6)
    for number, (kind, (amount, sigma)) in enumerate(severity.items()):
        part = np.clip(np.digitize(amount, edges) - 1, 0, 4)
        points = [(amount[part == i].mean(), np.median(sigma[part == i])) for i in range(5) if (part == i).any()]
        if points:
            colour, style = COLOURS[number % len(COLOURS)], STYLES[number % len(STYLES)]
            ax.plot(*np.array(points).T, marker="os^Dv"[number % 5], color=colour, linestyle=style, label=kind)
    ax.set(xlabel="severity of the degradation", ylabel="sigma (median)", xlim=(0, 1))
    ax.legend(fontsize=8, frameon=False)
    ax.grid(alpha=0.3)
    return ax


def grid_figure(count: int, columns: int = 3, width: float = 4.2, height: float = 3.3) -> tuple[Figure, Sequence[Axes]]:
    """A figure with ``count`` panels."""
    from matplotlib.figure import Figure

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in axes[count:]:
        spare.remove()
    return figure, axes[:count]


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, dpi=90, format="png")
    return data.getvalue()


def _plain(value: float, _: float) -> str:
    return f"{value:g}"


def _shown(name: str) -> str:
    """A name that matplotlib can draw, not too long."""
    text = drawable(name)
    return text if len(text) <= 40 else "..." + text[-37:]
