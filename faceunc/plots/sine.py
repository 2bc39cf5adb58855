"""The sine example's figure: left what is not known (epistemic), right what is noise (aleatoric)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceunc.sine import DATA_END, PLOT_END, Bands, SineResult, noise_sd

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"epistemic": "tab:blue", "aleatoric": "tab:orange"}
_LINES = {"MC dropout": "-", "deep ensemble": "--"}


def plot_band(result: SineResult, bands: Bands, kind: str, ax: Axes) -> Axes:
    """Training points, the true function, a method's mean, and its mean +- 2 sd of one kind.

    Args:
        kind: epistemic or aleatoric; the latter with the true noise beside it.
    """
    x, sd = result.grid, getattr(bands, kind)
    _shade_outside(ax)
    ax.scatter(result.x, result.y, s=7, color="0.35", alpha=0.45, linewidths=0, label="training points")
    ax.fill_between(
        x, bands.mean - 2 * sd, bands.mean + 2 * sd, color=COLOURS[kind], alpha=0.4, lw=0, label=f"±2 sd {kind}"
    )
    ax.plot(x, bands.mean, color=COLOURS[kind], label="predicted mean")
    ax.plot(x, np.sin(x), color="black", linestyle="--", linewidth=1.2, label="true function sin x")
    if kind == "aleatoric":
        for sign in (-2, 2):
            edge = np.sin(x) + sign * noise_sd(x)
            ax.plot(x, edge, color="black", linestyle=":", linewidth=1.4, label="true ±2 sd" if sign > 0 else None)
    ax.set(xlim=(-PLOT_END, PLOT_END), ylim=(-3.2, 4.4), ylabel="y")
    ax.set_title(f"{bands.name}: {kind}", fontsize=12)
    ax.legend(loc="upper center", ncols=5, fontsize=8, framealpha=0.9, columnspacing=1.0, handlelength=1.4)
    return ax


def plot_sd(result: SineResult, kind: str, ax: Axes) -> Axes:
    """Standard deviation of one kind along x, one line a method, logarithmic; the true noise in dots."""
    _shade_outside(ax)
    for bands in result.methods:
        ax.plot(result.grid, getattr(bands, kind), _LINES[bands.name], color=COLOURS[kind], label=bands.name)
    ax.plot(result.grid, noise_sd(result.grid), color="black", linestyle=":", linewidth=1.4, label="sd of the noise")
    ax.set(xlim=(-PLOT_END, PLOT_END), ylim=(3e-4, 10), yscale="log", xlabel="x", ylabel=f"{kind} sd")
    ax.grid(alpha=0.3)
    ax.legend(loc="upper center", ncols=3, fontsize=8, framealpha=0.9)
    return ax


def _shade_outside(ax: Axes) -> None:
    """Grey where no training point lies."""
    for left, right in ((-PLOT_END, -DATA_END), (DATA_END, PLOT_END)):
        ax.axvspan(left, right, color="0.93", zorder=0)


def save_sine(result: SineResult, path: Path) -> None:
    """Write the figure as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 10), layout="constrained")
    axes = figure.subplots(3, 2, sharex=True, height_ratios=(1.25, 1.25, 1.0))
    for column, kind in enumerate(("epistemic", "aleatoric")):
        for row, bands in enumerate(result.methods):
            plot_band(result, bands, kind, axes[row, column])
        plot_sd(result, kind, axes[2, column])
    axes[2, 0].set_title("what is not known: small at the data, opens where there is none (log scale)", fontsize=11)
    axes[2, 1].set_title("what is noise: follows it at the data, means nothing in the grey (log scale)", fontsize=11)
    figure.suptitle("y = sin x + noise, learnt from x in [-5, 5] (grey: no data)", fontsize=14)
    figure.savefig(path, dpi=110, format="png")
