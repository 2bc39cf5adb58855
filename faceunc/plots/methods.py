"""Pictures of the methods' table, and of what epistemic and aleatoric uncertainty react to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceunc.storage import atomic_path

_PANELS = {
    "(a) acc": "clean against degraded: accuracy",
    "(a) 1e-2": "clean against degraded: TAR@FAR 1e-2",
    "(b) acc": "both degraded: accuracy",
    "templates bayes 1e-3": "templates: TAR@FAR 1e-3",
}
_MARKERS = ("o", "s", "^")
_POSTERIORS = ("bayes", "product", "")  # of vMF; cosine has none


def save_methods(rows: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """One point a method and score, mean over seeds with its deviation; the dashed line is the first row (cosine).

    ``rows``: from :func:`over_seeds`; cosine's templates are pooled by their mean. Raises OutputError.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(4.0 * len(_PANELS), 0.32 * len(rows) + 1.6), layout="constrained")
    panels: list[Any] = figure.subplots(1, len(_PANELS), sharey=True).tolist()
    names = [row["method"] if k == 0 else f"{row['method']}, {row['score']}" for k, row in enumerate(rows)]
    for (key, name), panel in zip(_PANELS.items(), panels, strict=True):
        keys = [key.replace("bayes ", f"{posterior} ".lstrip()) for posterior in _POSTERIORS]
        found = [next((name for name in keys if name in row), "") for row in rows]
        values = [row.get(name, float("nan")) for name, row in zip(found, rows, strict=True)]
        errors = [row.get(f"std {name}", 0.0) for name, row in zip(found, rows, strict=True)]
        panel.errorbar(values, range(len(rows)), xerr=errors, fmt="o", capsize=3)
        panel.axvline(values[0], color="black", linestyle="--", linewidth=0.8)
        ends = [value + sign * error for value, error in zip(values, errors, strict=True) for sign in (-1, 1)]
        low, high = min(end for end in ends if end == end), max(end for end in ends if end == end)
        panel.set_xlim(low - 0.05 * (high - low) - 1e-3, high + 0.05 * (high - low) + 1e-3)
        panel.xaxis.set_major_locator(MaxNLocator(4))
        panel.set_title(name)
        panel.grid(alpha=0.3)
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].invert_yaxis()
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def save_epistemic(reports: Sequence[Any], path: Path, title: str) -> None:
    """Left: each measure over the sets, relative to clean faces. Right: against the share of the training people.

    ``reports``: :class:`EpistemicReport`, one a seed; lines are means, bars the range over seeds. Raises OutputError.
    """
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    names = list(reports[0].sets)
    for measure, marker in zip(reports[0].sets["clean"], _MARKERS, strict=False):
        values = np.array([[r.sets[n][measure] / r.sets["clean"][measure] for n in names] for r in reports])
        spread = np.stack([values.mean(0) - values.min(0), values.max(0) - values.mean(0)])
        left.errorbar(range(len(names)), values.mean(0), yerr=spread, marker=marker, capsize=3, label=measure)
    left.set_xticks(range(len(names)), names, rotation=30, ha="right")
    left.set_yscale("log")
    left.set_ylabel("variance, relative to clean faces")
    left.legend(frameon=False)
    shares = list(reports[0].shares)
    people = [reports[0].shares[share]["people"] for share in shares]
    for measure, marker in zip(("aleatoric", "epistemic"), _MARKERS, strict=False):
        values = np.array([[r.shares[s][measure] / r.shares[shares[-1]][measure] for s in shares] for r in reports])
        spread = np.stack([values.mean(0) - values.min(0), values.max(0) - values.mean(0)])
        right.errorbar(people, values.mean(0), yerr=spread, marker=marker, capsize=3, label=measure)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xticks(people, [f"{count:.0f}" for count in people])
    right.set_xlabel("training people (with two photographs)")
    right.set_ylabel("on clean unseen faces, relative to all people")
    right.legend(frameon=False)
    right.xaxis.set_minor_formatter(NullFormatter())
    for panel in (left, right):
        panel.yaxis.set_major_formatter(ScalarFormatter())
        panel.yaxis.set_minor_formatter(ScalarFormatter())
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
