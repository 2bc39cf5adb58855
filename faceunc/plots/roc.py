"""ROC curves on a logarithmic false accept rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from faceunc.metrics.verification import roc

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceunc.evaluation.report import Curve


def plot_roc(scores: ArrayLike, same: ArrayLike, name: str, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw TAR against FAR of one method; FAR below one impostor is not drawn."""
    if ax is None:
        from matplotlib.figure import Figure

        ax = Figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()
    far, tar, _ = roc(scores, same)
    seen = far > 0
    ax.step(far[seen], tar[seen], where="post", label=name, **style)
    ax.set(xscale="log", xlabel="FAR (false accept rate)", ylabel="TAR (true accept rate)")
    return ax


def save_roc(curves: Sequence[Curve], path: Path, title: str) -> None:
    """One picture with all curves: cosine dashed, the others solid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.6), layout="constrained")
    ax = figure.add_subplot()
    lowest = 1.0
    for curve in curves:
        style = {"linestyle": "--" if "cosine" in curve.name else "-", "linewidth": 1.4}
        plot_roc(curve.scores, curve.same, curve.name, ax, **style)
        far, tar, _ = roc(curve.scores, curve.same)
        lowest = min(lowest, float(tar[far > 0][0]))
    impostors = min(int((~np.asarray(curve.same)).sum()) for curve in curves)
    ax.set(title=title, xlim=(max(1.0 / impostors, 1e-6), 1.0), ylim=(max(0.0, lowest - 0.05), 1.005))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=120, format="png")
