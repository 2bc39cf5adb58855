"""The demo's figure: the chips with their sigma as a coloured frame, and sigma against severity."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faceunc.demo import DEMO_KINDS, DemoResult, DemoStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_chip(step: DemoStep, colour: tuple[float, float, float, float], ax: Axes) -> Axes:
    """One chip in a frame of ``colour``, with sigma and similarity below it."""
    ax.imshow(step.chip)
    ax.set(xticks=[], yticks=[])
    ax.set_xlabel(f"σ {step.sigma:.4f}   cos {step.similarity:.2f}", fontsize=8)
    for spine in ax.spines.values():
        spine.set(color=colour, linewidth=5)
    return ax


def plot_sigma(result: DemoResult, ax: Axes) -> Axes:
    """sigma against severity, one line a kind."""
    for kind in DEMO_KINDS:
        steps = result.of_kind(kind)
        ax.plot([s.degradation.severity for s in steps], [s.sigma for s in steps], marker="o", label=kind)
    ax.set(xlabel="severity of the degradation (0: original)", ylabel="σ (uncertainty of the embedding)")
    ax.set_title("the poorer the photo, the larger σ", fontsize=11)
    ax.grid(alpha=0.3)
    ax.legend()
    return ax


def save_demo(result: DemoResult, path: Path) -> None:
    """Write the figure as PNG."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    columns = max(len(result.of_kind(kind)) for kind in DEMO_KINDS)
    everything = [result.original, *result.steps]
    low, high = min(s.sigma for s in everything), max(s.sigma for s in everything)
    figure = Figure(figsize=(14, 7.4), layout="constrained")
    left, right = np.asarray(figure.subfigures(1, 2, width_ratios=(1.9, 1)))
    left.suptitle("frame: σ, green = certain, red = uncertain", fontsize=11)
    axes = left.subplots(len(DEMO_KINDS), columns)
    for row, kind in zip(axes, DEMO_KINDS, strict=True):
        for ax, step in zip(row, result.of_kind(kind), strict=True):
            share = math.log(step.sigma / low) / max(math.log(high / low), 1e-9)
            plot_chip(step, colormaps["RdYlGn"](1.0 - share), ax)
        row[0].set_ylabel(kind, fontsize=11)
    plot_sigma(result, right.subplots())
    figure.savefig(path, dpi=110, format="png")
