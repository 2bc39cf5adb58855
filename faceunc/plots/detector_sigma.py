"""The picture of the uncertain detector: reliability of its intervals, sigma by degradation, error by kind of NMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {"box": "tab:blue", "landmarks": "tab:red"}


def save_detector_sigma(
    intervals: Mapping[str, Any], severity: Mapping[str, Any], voting: Mapping[str, Any], path: Path, title: str
) -> None:
    """Four panels, from the reports of ``faceunc.detection.evaluation`` and :func:`voting_report`.

    Raises OutputError.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * 4, 4.4), layout="constrained")
    panels: list[Any] = figure.subplots(1, 4).tolist()
    _reliability(panels[0], intervals)
    _by_kind(panels[1], intervals)
    _severity(panels[2], severity)
    _voting(panels[3], voting)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _reliability(ax: Axes, report: Mapping[str, Any]) -> None:
    ax.plot([0.4, 1], [0.4, 1], color="black", linewidth=0.8)
    for name, group in report.items():
        for key, style in (("coverage, found", "o-"), ("coverage, all", "x:")):
            levels = group[key]
            label = f"{name}, {key.split(', ')[1]}"
            ax.plot([float(level) for level in levels], list(levels.values()), style, color=_COLOURS[name], label=label)
    ax.set(xlabel="nominal", ylabel="covered", title="intervals of held-out people")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)


def _by_kind(ax: Axes, report: Mapping[str, Any]) -> None:
    kinds = list(next(iter(report.values()))["coverage by kind"])
    for name, group in report.items():
        for key, style in (("coverage by kind", "o"), ("constant sigma: coverage by kind", "x")):
            values = [group[key][kind]["0.9"] for kind in kinds]
            label = name if key == "coverage by kind" else f"{name}, constant sigma"
            ax.plot(range(len(kinds)), values, style, color=_COLOURS[name], label=label)
    ax.axhline(0.9, color="black", linewidth=0.8)
    ax.set_xticks(range(len(kinds)), kinds, rotation=30, ha="right")
    ax.set(ylabel="covered", title="90% intervals by degradation")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)


def _severity(ax: Axes, report: Mapping[str, Any]) -> None:
    for name, group in report.items():
        bins: Sequence[Mapping[str, Any]] = group["bins"]
        places = range(len(bins))
        colour = _COLOURS[name]
        rank = group["rank correlation with severity"]
        label = f"{name}: median sigma (rank correlation {rank:.2f})"
        ax.plot(places, [row["median sigma"] for row in bins], "o-", color=colour, label=label)
        ax.plot(places, [row["rms error"] for row in bins], "x:", color=colour, label=f"{name}: RMS error")
        ax.set_xticks(places, [row["severity"] for row in bins], rotation=30, ha="right")
    ax.set(xlabel="severity", ylabel="% of the crop's side", title="sigma against degradation")
    ax.set_ylim(0, 1.4 * ax.get_ylim()[1])
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, loc="upper left")


def _voting(ax: Axes, report: Mapping[str, Any]) -> None:
    names: list[str] = []
    for place, (source, summary) in enumerate(report.items()):
        differences = summary["landmark error, difference to plain NMS"]
        for k, (method, found) in enumerate(differences.items()):
            y = 100.0 * found["mean"]
            bars = [[y - 100.0 * found["low"]], [100.0 * found["high"] - y]]
            label = method if not place else None
            ax.errorbar(place + 0.2 * k - 0.1, y, yerr=bars, marker="o", capsize=4, color=f"C{2 + k}", label=label)
        names.append(f"{source}\n(plain: {100.0 * summary['landmark error']['plain NMS']:.2f})")
    ax.axhline(0.0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.set(ylabel="% of the inter-ocular distance", title="landmark error minus plain NMS's (95%)")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
