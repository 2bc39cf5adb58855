"""Pictures of the recipes' tables: galleries, reviews, strange inputs.

Colours of Okabe & Ito; markers and lines tell them apart in print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_ENDS: dict[str, dict[str, Any]] = {
    "random": {"color": "black", "linestyle": ":"},
    "oracle": {"color": "0.6", "linestyle": "-"},
}
_LINES = ("-", "--", "-.", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), "-")


def save_gallery(rows: Rows, path: Path, title: str, figure_name: str = "TAR@FAR 0.001") -> None:
    """TAR against the number kept, a line a rule; a panel a kind of probe and pooling. ``rows``: means over seeds."""
    figure = _figure(10.5, 8.4)
    probes, poolings = (_distinct(rows, key) for key in ("probes", "pooling"))
    panels = figure.subplots(len(poolings), len(probes), squeeze=False)
    for i, pooling in enumerate(poolings):
        for j, probe in enumerate(probes):
            mine = [row for row in rows if (row["pooling"], row["probes"]) == (pooling, probe)]
            _gallery_panel(panels[i][j], mine, figure_name)
            panels[i][j].set_title(f"{probe} probes; {pooling}", fontsize=10)
    _finish(figure, panels[0][0], path, title, 4)


def _gallery_panel(ax: Axes, rows: Rows, figure_name: str) -> None:
    whole = [row for row in rows if row["keep"] == "all"]
    lines = [row for row in rows if row["keep"] != "all"]
    for number, rule in enumerate(_distinct(lines, "rule")):
        mine = [row for row in lines if row["rule"] == rule]
        keeps = [row["keep"] for row in mine]
        values, errors = ([row[k] for row in mine] for k in (figure_name, f"std {figure_name}"))
        ax.errorbar(keeps, values, yerr=errors, capsize=2, label=rule, linewidth=1.3, markersize=5, **_style(number))
    for row in whole:
        ax.axhline(row[figure_name], color="black", linestyle=":", linewidth=1.2, label=row["rule"])
    ax.set(xlabel="photographs kept", ylabel=figure_name, xticks=sorted({row["keep"] for row in lines}))
    ax.grid(alpha=0.3)


def save_review(
    curves: Mapping[str, NDArray[np.float64]], grid: NDArray[np.int64], path: Path, title: str, threshold: str
) -> None:
    """Share of all errors found against reviews. ``curves``: "case, decision, threshold, order" -> errors found."""
    mine = {tuple(name.split(", ")): found for name, found in curves.items() if f", {threshold}, " in name}
    cases, decisions, orders = (list(dict.fromkeys(key[k] for key in mine)) for k in (0, 1, 3))
    figure = _figure(4.4 * len(cases), 4.0 * len(decisions))
    panels = figure.subplots(len(decisions), len(cases), squeeze=False)
    for i, decision in enumerate(decisions):
        for j, case in enumerate(cases):
            ax = panels[i][j]
            for number, order in enumerate(orders):
                found = mine[case, decision, threshold, order]
                style = _ENDS.get(order) or {**_style(number - 1), "markevery": (number, 8), "markersize": 5}
                ax.plot(grid, found, label=order, linewidth=1.4, **style)
            ax.set_title(f"{case}; decided by {decision}", fontsize=10)
            ax.set(xlabel="comparisons looked at, of 6,000", ylabel="errors found", xlim=(0, grid[-1]))
            ax.set_ylim(bottom=0)
            ax.grid(alpha=0.3)
    _finish(figure, panels[0][0], path, title, 4)


def save_strange(rows: Rows, path: Path, title: str, base: str) -> None:
    """Left: share flagged of each set at the limit. Right: AUROC of the strange sets against ``base`` faces."""
    figure = _figure(12.0, 6.6)
    left, right = figure.subplots(1, 2, sharey=True)
    measures, sets = _distinct(rows, "measure"), _distinct(rows, "set")
    offsets = np.linspace(-0.34, 0.34, len(sets))
    for number, kind in enumerate(sets):
        for ax, key in ((left, "flagged"), (right, f"AUROC from {base}")):
            mine = [row for row in rows if row["set"] == kind and key in row]
            places = [measures.index(row["measure"]) + offsets[number] for row in mine]
            style = {**_style(number), "linestyle": "none"}
            values, errors = ([row[k] for row in mine] for k in (key, f"std {key}"))
            ax.errorbar(values, places, xerr=errors, capsize=2, markersize=6, label=kind, **style)
    left.set_yticks(range(len(measures)), measures)
    left.invert_yaxis()
    left.axvline(0.05, color="black", linestyle=":", linewidth=1)
    left.set(xlabel="share flagged; limit at 95% of clean faces of other people kept", xlim=(-0.03, 1.03))
    right.set(xlabel=f"AUROC against {base}")
    for ax in (left, right):
        ax.grid(alpha=0.3)
    _finish(figure, left, path, title, len(sets))


def _style(number: int) -> dict[str, Any]:
    k = number % len(_COLOURS)
    return {"color": _COLOURS[k], "marker": _MARKERS[k], "linestyle": _LINES[k]}


def _distinct(rows: Rows, key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _finish(figure: Figure, first: Axes, path: Path, title: str, columns: int) -> None:
    handles, names = first.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
