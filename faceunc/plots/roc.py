"""ROC curves on a logarithmic false accept rate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from faceunc.metrics.sorted_scores import sort_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faceunc.evaluation.report import Curve


def plot_roc(scores: ArrayLike, same: ArrayLike, name: str, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw TAR against FAR of one method; FAR below one impostor is not drawn."""
    ax = ax or new_axes()
    far, tar = sort_scores(scores, same).curve()
    ax.step(far, tar, where="post", label=name, **style)
    ax.set(xscale="log", xlabel="FAR (false accept rate)", ylabel="TAR (true accept rate)")
    return ax


def plot_det(scores: ArrayLike, same: ArrayLike, name: str, ax: Axes | None = None, **style: Any) -> Axes:
    """Draw the detection error trade-off, FNMR against FMR, both logarithmic; no errors at all are not drawn."""
    ax = ax or new_axes()
    fmr, tar = sort_scores(scores, same).curve()
    drawn = tar < 1
    ax.step(fmr[drawn], 1.0 - tar[drawn], where="post", label=name, **style)
    ax.set(xscale="log", yscale="log", xlabel="FMR (false match rate)", ylabel="FNMR (false non-match rate)")
    return ax


def new_axes() -> Axes:
    """Axes of a figure that belongs to nobody's interactive session."""
    from matplotlib.figure import Figure

    return Figure(figsize=(6.4, 4.8), layout="constrained").add_subplot()


def save_roc(curves: Sequence[Curve], path: Path, title: str) -> None:
    """One picture with all curves: cosine dashed, the others solid."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 5.6), layout="constrained")
    ax = figure.add_subplot()
    for curve in curves:
        style = "--" if "cosine" in curve.name else "-"
        ax.step(curve.far, curve.tar, where="post", label=curve.name, linestyle=style, linewidth=1.4)
    lowest = min(float(curve.tar[0]) for curve in curves)
    left = max(min(float(curve.far[0]) for curve in curves), 1e-6)
    ax.set(xscale="log", xlabel="FAR (false accept rate)", ylabel="TAR (true accept rate)", title=title)
    ax.set(xlim=(left, 1.0), ylim=(max(0.0, lowest - 0.05), 1.005))
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=120, format="png")
