"""Pictures of calibration, of promises kept, of refusing, and of pairs whose similarity misleads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceunc.names import drawable
from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from faceunc.evaluation.striking import Example
    from faceunc.metrics.calibration import Reliability

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe & Ito: for the colour-blind
_LEAST = 20  # comparisons behind a point that is drawn
MARKERS = ("o", "s", "^", "D", "v", "P")


def save_reliability(diagrams: Mapping[str, Mapping[str, tuple[float, Reliability]]], path: Path, title: str) -> None:
    """A panel a group: observed share against probability, one line a calibrator or quality bin, its ECE beside it."""
    figure = _figure(4.6 * len(diagrams), 4.8)
    axes: list[Axes] = np.atleast_1d(figure.subplots(1, len(diagrams), sharey=True)).tolist()
    for ax, (name, lines) in zip(axes, diagrams.items(), strict=True):
        ax.plot([0, 1], [0, 1], color="black", linewidth=0.8, linestyle=":")
        for k, (label, (ece, found)) in enumerate(lines.items()):
            style: dict[str, Any] = {"color": COLOURS[k % 6], "marker": MARKERS[k % 6], "markersize": 4}
            many = found.count >= _LEAST
            ax.plot(found.probability[many], found.observed[many], label=f"{label}: ECE {ece:.3f}", **style)
        ax.set(title=name, xlabel="calibrated probability of one person", xlim=(0, 1), ylim=(0, 1))
        ax.legend(frameon=False, fontsize=8, loc="upper left")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("observed share")
    _save(figure, path, title)


def save_refusal(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Bars: by how much FNMR at FMR 1e-2 falls when a tenth is refused, a panel a part and score."""
    groups = list(dict.fromkeys((row["part"], row["score"]) for row in rows))
    columns = len({score for _, score in groups})
    figure = _figure(4.2 * columns, 6.4)
    axes = np.atleast_2d(figure.subplots(len(groups) // columns, columns, sharex=True, sharey=True))
    for ax, (part, score) in zip(axes.ravel(), groups, strict=True):
        shown = [row for row in rows if (row["part"], row["score"]) == (part, score)]
        names = ["sigma" if row["refused by"].startswith("sigma") else row["refused by"] for row in shown]
        own = [name in ("sigma", "confidence") for name in names]
        bars = ax.barh(
            names,
            [100 * row["fall"] for row in shown],
            xerr=[100 * row["std fall"] for row in shown],
            color=[COLOURS[0] if mine else "#BBBBBB" for mine in own],
            error_kw={"elinewidth": 0.8},
        )
        for one, mine in zip(bars, own, strict=True):
            one.set_hatch("" if mine else "//")
        ax.set_title(f"{part}, {score} (FNMR {shown[0]['FNMR']:.3f})", fontsize=9)
        ax.axvline(0, color="black", linewidth=0.8)
        ax.grid(alpha=0.3, axis="x")
    axes[0, 0].invert_yaxis()
    for ax in axes[-1]:
        ax.set_xlabel("FNMR at FMR 1e-2 falls by, %")
    _save(figure, path, title)


def save_guarantees(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Share of the splits in which the unseen half exceeds what was promised; the dashed line is what is allowed."""
    figure = _figure(10, 4.2)
    left, right = figure.subplots(1, 2)
    targets = list(dict.fromkeys(row["FMR promised"] for row in rows))
    scores = list(dict.fromkeys(row["score"] for row in rows))
    for ax, promise, text in (
        (left, "next", "promised: the share seen in as many new comparisons"),
        (
            right,
            "population",
            "promised: the FMR in the population\n(the unseen half is a noisy sample of it)",
        ),
    ):
        for k, target in enumerate(targets):
            shown = [row for row in rows if row["FMR promised"] == target and row["promise"] == promise]
            places = np.arange(len(scores)) + 0.38 * k
            hatch = "" if k == 0 else "//"
            values = [100 * row["exceeded"] for row in shown]
            ax.bar(places, values, 0.36, color=COLOURS[k], hatch=hatch, label=f"FMR {target:g}")
        ax.axhline(100 * (1 - rows[0]["confidence"]), color="black", linestyle="--", linewidth=0.8)
        ax.set_xticks(np.arange(len(scores)) + 0.19, scores)
        ax.set(title=text, ylabel="splits in which the unseen half exceeds it, %")
        ax.title.set_fontsize(9)
        ax.legend(frameon=False)
        ax.grid(alpha=0.3, axis="y")
    _save(figure, path, title)


def save_striking(examples: Sequence[tuple[Example, Example]], path: Path, title: str) -> None:
    """A column an example: above two people that are alike as degraded, below one person, clean, equally similar."""
    figure = _figure(1.75 * len(examples), 8.2)
    axes = figure.subplots(4, len(examples), squeeze=False)
    for column, (wrong, right) in enumerate(examples):
        for row, example in ((0, wrong), (2, right)):
            for offset in (0, 1):
                ax = axes[row + offset][column]
                ax.imshow(example.chips[offset])
                ax.set_xticks([])
                ax.set_yticks([])
                ax.set_xlabel(_short(example.names[offset]), fontsize=7)
            text = f"similarity {example.similarity:.1%}\nconfidence {example.confidence:.1%}"
            if row == 0:
                text = f"(clean: similarity {example.clean:.1%})\n{text}"
            axes[row][column].set_title(text, fontsize=9, color=COLOURS[1] if row == 0 else COLOURS[0])
    axes[0][0].set_ylabel("two people", fontsize=9)
    axes[2][0].set_ylabel("one person", fontsize=9)
    _save(figure, path, title)


def _short(name: str) -> str:
    words = drawable(name).replace("_", " ")
    return words if len(words) <= 20 else words[:19] + "."


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path, title: str) -> None:
    figure.suptitle(title, fontsize=11)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
