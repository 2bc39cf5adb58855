"""Picture of one comparison: faces, sigmas, and where it lies among comparisons of one person and of two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceunc.compare import Comparison, Side
from faceunc.compare_text import percent
from faceunc.images.diagnose import describe
from faceunc.names import drawable
from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceunc.confidence.store import StoredCalibrator

_BLUE, _ORANGE, _GREY = "#0072B2", "#D55E00", "#999999"  # Okabe & Ito: for the colour-blind
_MOST = 4  # faces of a side that are shown


def save_comparison(comparison: Comparison, path: Path, calibrator: StoredCalibrator | None = None) -> None:
    """One PNG. Raises OutputError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 5.4), layout="constrained")
    columns = [min(len(side.photos), _MOST) for side in comparison.sides]
    rows: Any = figure.subfigures(2, 1, height_ratios=(1, 1))
    faces, below = rows
    faces.suptitle(" ", fontsize=7)  # room below the figure's title
    axes = faces.subplots(1, sum(columns), squeeze=False)[0].tolist()
    for number, side in enumerate(comparison.sides):
        for k in range(columns[number]):
            _face(axes[number * columns[0] + k], side, k, "AB"[number])
    bars, position = below.subplots(1, 2, width_ratios=(1, 2))
    _bars(bars, comparison)
    _position(position, comparison, calibrator)
    figure.suptitle(_title(comparison), fontsize=11)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120, format="png")


def _title(comparison: Comparison) -> str:
    text = f"similarity {comparison.similarity:.1%}"
    judgement = comparison.judgement
    return text if judgement is None else f"{text}, confidence {percent(judgement.confidence)}: {judgement.decision}"


def _face(ax: Axes, side: Side, number: int, letter: str) -> None:
    ax.imshow(side.chips[number])
    ax.set_xticks([])
    ax.set_yticks([])
    flaws = describe(side.flaws[number][:1]).split(" (")[0]
    hidden = len(side.photos) - _MOST
    more = f"\n(and {hidden} more)" if number == _MOST - 1 and hidden > 0 else ""
    ax.set_title(f"{letter}: sigma {side.sigma[number]:.4f}", fontsize=9)
    ax.set_xlabel(f"{_short(side.photos[number], 34 // min(len(side.photos), 2))}\n{flaws}{more}", fontsize=7)


def _short(name: str, most: int) -> str:
    """The file's name, or its end."""
    file = drawable(Path(name).name)
    return file if len(file) <= most else f"..{file[2 - most :]}"


def _bars(ax: Axes, comparison: Comparison) -> None:
    from matplotlib.ticker import MaxNLocator

    values = [side.fused for side in comparison.sides]
    bars = ax.barh(["A", "B"], values, color=[_BLUE, _ORANGE])
    bars[1].set_hatch("//")
    labels = [f"{value:.4f}" for value in values]
    ax.bar_label(bars, labels, label_type="center", fontsize=9, bbox={"facecolor": "white", "edgecolor": "none"})
    ax.invert_yaxis()
    limit = comparison.judgement.policy.refuse_sigma if comparison.judgement else float("inf")
    if np.isfinite(limit):
        ax.axvline(limit, color="black", linestyle="--", linewidth=1)
        ax.text(
            limit, 0.5, "refused beyond", fontsize=8, ha="center", va="center", rotation=90, backgroundcolor="white"
        )
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlim(0, 1.25 * max([*values, limit if np.isfinite(limit) else 0.0]))
    ax.set_title("sigma of both sides", fontsize=10)


def _position(ax: Axes, comparison: Comparison, calibrator: StoredCalibrator | None) -> None:
    judgement = comparison.judgement
    if judgement is None or calibrator is None:
        ax.axis("off")
        ax.text(0.5, 0.5, "no calibrator for this head", ha="center")
        return
    reference = calibrator.reference
    style: dict[str, Any] = {"bins": 60, "density": True, "histtype": "stepfilled", "alpha": 0.45}
    ax.hist(reference.log_odds[~reference.same], color=_ORANGE, label="reference: two people", hatch="//", **style)
    ax.hist(reference.log_odds[reference.same], color=_BLUE, label="reference: one person", **style)
    ax.axvline(judgement.log_odds, color="black", linewidth=2.5, label="this comparison")
    ax.axvline(judgement.policy.fmr.threshold, color="black", linestyle="--", label="accepted from here")
    if judgement.policy.reject_below < judgement.policy.fmr.threshold:
        ax.axvline(judgement.policy.reject_below, color=_GREY, linestyle=":", label="rejected below")
    ax.set_yscale("log")
    ax.set_ylabel("density")
    ax.set_xlabel("log-odds of one person (0: even)")
    ax.set_title(f"P(same person) {percent(judgement.same)} at prior {judgement.prior:.4g}", fontsize=10)
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=5)
