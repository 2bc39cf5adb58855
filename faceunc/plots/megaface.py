"""MegaFace's picture: rank-1 against the number of distractors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def save_rank_one(result: Mapping[str, Any], path: Path) -> None:
    """Draw what :func:`faceunc.evaluation.megaface.evaluate_megaface` found; the convention stands in the title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = figure.add_subplot()
    points = {int(size): value for size, value in result["rank-1 by distractors"].items()}
    ax.plot(list(points), list(points.values()), "o-")
    ax.set(xscale="log", xlabel="distractors", ylabel="rank-1 identification rate")
    ax.set_title(f"MegaFace, convention {str(result['convention']).upper()}, {result['trials']} trials")
    ax.grid(alpha=0.3)
    figure.savefig(path, dpi=120, format="png")
