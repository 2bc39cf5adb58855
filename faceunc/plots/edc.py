"""Error-versus-discard curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faceunc.plots.roc import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceunc.metrics.rejection import DiscardCurve

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One panel: for every quality FNMR on an even grid of 0 to 50% discarded, threshold fixed and re-chosen."""

    title: str
    curves: Mapping[str, tuple[Floats, Floats | None]]


def plot_edc(curve: DiscardCurve, name: str, ax: Axes | None = None, **style: object) -> Axes:
    """Draw the error of what remains against the share discarded."""
    ax = ax or new_axes()
    ax.plot(curve.discarded, curve.error, label=name, **style)  # type: ignore[arg-type]
    ax.set(xlabel="share discarded", ylabel=curve.name)
    return ax


def save_edc(panels: Sequence[Panel], path: Path, title: str) -> None:
    """One picture: fixed thresholds in the upper rows, re-chosen ones below; a column a panel."""
    from matplotlib.figure import Figure

    columns = (len(panels) + 1) // 2
    figure = Figure(figsize=(4.2 * columns, 13), layout="constrained")
    axes = figure.subplots(4, columns, squeeze=False)
    for number, panel in enumerate(panels):
        for kind, label in enumerate(("fixed", "re-chosen")):
            ax = axes[2 * (number // columns) + kind][number % columns]
            for name, both in panel.curves.items():
                if both[kind] is not None:
                    _line(ax, name, both[kind])
            ax.set_title(f"{panel.title}\nthreshold {label}", fontsize=9)
            ax.set(xlabel="share discarded", ylabel="FNMR", xlim=(0, 0.5))
            ax.set_ylim(bottom=0)
            ax.grid(alpha=0.3)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=110, format="png")


def _line(ax: Axes, name: str, error: Floats | None) -> None:
    assert error is not None
    style = {"random": "k:", "oracle": "k--"}.get(name, "-" if name.startswith("sigma") else "-.")
    ax.plot(np.linspace(0, 0.5, len(error)), error, style, label=name, linewidth=2 if name.startswith("sigma") else 1.2)
