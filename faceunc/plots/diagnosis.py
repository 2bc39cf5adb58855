"""The picture of the diagnosis: what is named first, from which severity on, and faces by the place of their nose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("o-", "s--", "^:", "D-.", "v-", "P--", "X:", "*-.", "h-", "<--")
_COLOURS = (
    "#000000",
    "#E69F00",
    "#0072B2",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#8C6D00",
    "#666666",
    "#0072B2",
)


def save_diagnosis(report: Mapping[str, Any], turned: Sequence[tuple[NDArray[np.uint8], float]], path: Path) -> None:
    """``report`` of ``eval/diagnosis.py``; chips with their yaw for the lowest row. Raises OutputError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 9), layout="constrained")
    upper, lower = np.asarray(figure.subfigures(2, 1, height_ratios=(4, 1.25)))
    left, right = upper.subplots(1, 2, width_ratios=(1.5, 1))
    _confusion(left, report["named first"])
    _severities(right, report["right in two by severity"])
    lower.suptitle("held-out faces by yaw (nose off the midline, in eye-to-mouth distances)", fontsize=11)
    for ax, (chip, yaw) in zip(np.atleast_1d(lower.subplots(1, len(turned))), turned, strict=True):
        ax.imshow(chip)
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(f"{yaw:+.2f}")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _confusion(ax: Axes, rows: Mapping[str, Mapping[str, Any]]) -> None:
    columns = [name for name in next(iter(rows.values())) if name != "faces"]
    shares = np.array([[row[name] for name in columns] for row in rows.values()])
    ax.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.005:
            ax.text(j, i, f"{share:.2f}", ha="center", va="center", color="white" if share > 0.5 else "black")
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="right")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(title="named first (share of held-out faces)", ylabel="what was done, severity 0.7")


def _severities(ax: Axes, curves: Mapping[str, Sequence[float]]) -> None:
    for number, (cause, values) in enumerate((k, v) for k, v in curves.items() if k != "severity"):
        ax.plot(
            curves["severity"],
            values,
            _STYLES[number % len(_STYLES)],
            color=_COLOURS[number % len(_COLOURS)],
            label=cause,
            linewidth=1.4,
        )
    ax.axvline(0.4, color="black", linewidth=0.8)
    ax.text(0.41, 0.01, "counts as a flaw from here", fontsize=8)
    ax.set(
        xlabel="severity", ylabel="right flaw among the first two", title="from which severity on", ylim=(-0.02, 1.02)
    )
    ax.grid(alpha=0.3)
    ax.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
