"""Pictures of a sweep of degradations: a grid of figures over kind and severity, and the scores of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceunc.plots.roc import new_axes
from faceunc.sweep.degradation_kinds import DESCRIBED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceunc.sweep.degradation_report import DegradationReport

Row = Mapping[str, Any]
COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito, dark ones first
_MARKERS = "osD^vPX"
_GRID = {
    "FMR": "FMR at the\nclean threshold",
    "guarded FMR": "the same, nothing\nrefused is accepted",
    "FNMR": "FNMR at the\nclean threshold",
    "TAR@FAR 0.01": "TAR@FAR 1e-2,\nthreshold re-chosen",
    "refused": "share of pairs\nrefused by sigma",
    "sigma": "mean sigma",
}
_LOGARITHMIC = ("FMR", "guarded FMR")
_OF_HEADS = ("sigma", "refused")  # the same for all scores of a head
_COLUMNS = 3
_PAIRS = {
    "genuine": ("genuine pairs", COLOURS[2], "o", "-"),
    "own": ("a photograph and its own degraded version", COLOURS[3], "^", ":"),
    "impostor": ("impostor pairs", COLOURS[1], "s", "--"),
}


def plot_figure(rows: Sequence[Row], figure: str, name: str, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw one figure of one score against severity, with its interval as a band where it has one.

    ``rows``: of :meth:`DegradationReport.of_kind`, one score only. A figure that is None is left out.
    """
    ax = ax or new_axes()
    drawn = [row for row in rows if row.get(figure) is not None]
    severity = [row["severity"] for row in drawn]
    (line,) = ax.plot(severity, [row[figure] for row in drawn], label=name, **style)
    low, high = ([row.get(f"{end} {figure}") for row in drawn] for end in ("low", "high"))
    if drawn and None not in low + high:
        ax.fill_between(severity, np.array(low, float), np.array(high, float), color=line.get_color(), alpha=0.18)
    return ax


def save_grid(report: DegradationReport, path: Path, title: str) -> None:
    """A row a kind, a column a figure: errors at the clean threshold, with and without refusals, TAR@FAR, sigma."""
    from matplotlib.figure import Figure

    kinds, scores = report.kinds, list(dict.fromkeys(row["score"] for row in report.rows))
    figure = Figure(figsize=(2.05 * len(_GRID), 1.72 * len(kinds) + 1.5), layout="constrained")
    axes = figure.subplots(len(kinds), len(_GRID), squeeze=False, sharey="col")
    for line, kind in zip(axes, kinds, strict=True):
        rows = report.of_kind(kind)
        for ax, name in zip(line, _GRID, strict=True):
            for score in _drawn(rows, scores, name):
                own = [row for row in rows if row["score"] == score]
                plot_figure(own, name, own[0]["head"] if name in _OF_HEADS else score, ax, **_style(scores, score))
            _severity_axis(ax, rows, "")
            ax.tick_params(labelsize=7)
        line[len(_GRID) // 2 - 1].set_xlabel(DESCRIBED[kind].label, fontsize=8, loc="left")
        line[0].set_ylabel(kind, fontsize=10, fontweight="bold")
    for ax, (name, words) in zip(axes[0], _GRID.items(), strict=True):
        ax.set_title(words, fontsize=9)
        if name in _LOGARITHMIC:
            ax.set_yscale("symlog", linthresh=0.01, linscale=0.5)
            ax.set_yticks([0, 0.01, 0.1, 1.0], ["0", ".01", ".1", "1"], minor=False)
        ax.set_ylim(0, 1.03 if name in (*_LOGARITHMIC, "TAR@FAR 0.01", "refused") else None)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    figure.suptitle(f"{title}; thresholds and limits of sigma chosen on clean photographs", fontsize=11)
    figure.savefig(path, dpi=130, format="png")


def save_pairs(rows: Sequence[Row], path: Path, title: str) -> None:
    """Mean score of genuine and impostor pairs against severity, one kind; a panel a score, cosine left.

    All on one scale: 0 is the mean of clean impostor pairs, 1 that of clean genuine pairs. Bars are 95% intervals of
    the mean (people resampled), bands hold the middle 90% of the pairs, the horizontal line is the threshold of FMR
    1e-2 on clean pairs. Source of the picture: the "feature ambiguity dilemma" of Shi & Jain, ICCV 2019, whose genuine
    pairs are a photograph and its own degraded version (dotted here).
    """
    from matplotlib.figure import Figure

    kind = rows[-1]["kind"]
    scores = list(dict.fromkeys(row["score"] for row in rows))
    columns = min(len(scores), _COLUMNS)
    lines = -(-len(scores) // columns)
    figure = Figure(figsize=(4.7 * columns, 4.1 * lines + 1.0), layout="constrained")
    panels = np.ravel(figure.subplots(lines, columns, squeeze=False, sharey=True))
    for ax, score in zip(panels, scores, strict=False):
        plot_pairs([row for row in rows if row["score"] == score], ax)
        _severity_axis(ax, rows, DESCRIBED[kind].label)
        ax.set_title(score)
        if ax.get_subplotspec().is_first_col():
            ax.set_ylabel("score (clean impostors 0, clean genuine 1)")
    for ax in panels[len(scores) :]:
        ax.remove()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    figure.suptitle(f"{title}\nmean scores with 95% intervals; bands: middle 90% of the pairs")
    figure.savefig(path, dpi=120, format="png")


def plot_pairs(rows: Sequence[Row], ax: Axes | None = None) -> Axes:
    """One panel of :func:`save_pairs`: the rows of one score and one kind."""
    ax = ax or new_axes()
    severity = [row["severity"] for row in rows]
    for mean, (words, colour, marker, line) in _PAIRS.items():
        values = np.array([row[f"z {mean}"] for row in rows])
        ends = [np.array([row[f"{end} z {mean}"] for row in rows], float) for end in ("low", "high")]
        bars = np.nan_to_num(np.stack([values - ends[0], ends[1] - values]))  # None: no interval
        ax.errorbar(severity, values, bars, label=words, color=colour, marker=marker, linestyle=line, capsize=3)
        if mean != "own":
            low, high = ([row[f"z {mean} q{level}"] for row in rows] for level in ("0.05", "0.95"))
            ax.fill_between(severity, low, high, color=colour, alpha=0.15, linewidth=0)
    threshold = rows[0]["z threshold"]
    ax.axhline(threshold, color="black", linewidth=1, linestyle="-.", label="threshold of FMR 1e-2 on clean pairs")
    return ax


def _drawn(rows: Sequence[Row], scores: Sequence[str], name: str) -> list[str]:
    """The scores whose line is drawn: of figures that all scores of a head share, one a head (in its MLS's style)."""
    if name not in _OF_HEADS:
        return list(scores)
    last = {row["head"]: row["score"] for row in rows if not row["score"].startswith("log-odds")}
    return list(last.values())


def _style(scores: Sequence[str], score: str) -> dict[str, Any]:
    """Colour, marker and line of a score: cosine dashed and hollow."""
    number, dashed = scores.index(score), score.startswith("cosine")
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "linestyle": "--" if dashed else "-",
        "markerfacecolor": "white" if dashed else None,
        "markersize": 4,
        "linewidth": 1.2,
    }


def _severity_axis(ax: Axes, rows: Sequence[Row], label: str) -> None:
    """Ticks at the severities, with the physical amount."""
    amounts = {row["severity"]: row["amount"] for row in rows}
    ax.set_xticks(list(amounts), list(amounts.values()))
    ax.set_xlabel(label)
    ax.grid(alpha=0.3)
