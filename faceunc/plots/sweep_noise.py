"""Picture of the noise sweep: figures against the share of noise, and the advantage over the deterministic head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceunc.storage import atomic_path

if TYPE_CHECKING:
    from faceunc.sweep.noise import NoiseSweep

# Okabe and Ito's colours, which colour-blind people tell apart; marker and line tell them apart in print
_STYLES = (
    ("#000000", "o", "-"),
    ("#0072B2", "s", "--"),
    ("#D55E00", "^", "-"),
    ("#CC79A7", "D", "-."),
    ("#009E73", "v", (0, (5, 1, 1, 1, 1, 1))),
    ("#E69F00", "P", ":"),
    ("#56B4E9", "X", "-"),
)
_SHIFT = 0.5  # per cent that methods stand beside each other, so that their bars can be read


def save_noise(sweep: NoiseSweep, path: Path) -> None:
    """Upper row: each test against the share, mean and standard deviation over seeds; lower row: the advantage.

    The grey line is the backbone's own embedding by cosine, which does not learn. Raises OutputError.
    """
    from matplotlib.figure import Figure

    from faceunc.sweep.noise import own_score
    from faceunc.sweep.noise_report import TESTS, advantages, seeds_text, table_of

    options = sweep.options
    shares = 100.0 * np.array(options.shares)
    figure = Figure(figsize=(4.3 * len(TESTS), 8.2), layout="constrained")
    panels: list[list[Any]] = figure.subplots(2, len(TESTS), sharex=True).tolist()
    for column, (test, title) in enumerate(TESTS.items()):
        upper, lower = panels[0][column], panels[1][column]
        below = advantages(sweep, test)
        upper.axhline(sweep.frozen[test], color="0.6", linewidth=2.5, label="backbone's own embedding, cosine")
        for place, (method, rows) in enumerate(table_of(sweep, test).items()):
            x = shares + _SHIFT * (place - (len(options.methods) - 1) / 2)
            label = f"{method}, {own_score(method)}"
            _line(upper, x, rows, place, label)
            if method in below:
                _line(lower, x, below[method], place, label)
        lower.axhline(0.0, color="black", linewidth=1.0)
        upper.set_title(title, fontsize=10)
        lower.set(xlabel="corrupted photographs of every training person, %", xticks=shares)
        for panel in (upper, lower):
            panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("figure")
    panels[1][0].set_ylabel("difference to the deterministic head (softmax)")
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), fontsize=9)
    figure.suptitle(
        f"Noise in training ({options.kind}), tests never corrupted: {sweep.bench.source.backbone.spec.name}, "
        f"{seeds_text(sweep)}"
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")


def _line(panel: Any, x: NDArray[np.float64], rows: NDArray[np.float64], place: int, label: str) -> None:
    """Mean over seeds with its deviation; rows: (seeds, shares)."""
    colour, marker, line = _STYLES[place % len(_STYLES)]
    deviation = rows.std(0, ddof=1) if len(rows) > 1 else None
    panel.errorbar(
        x,
        rows.mean(0),
        yerr=deviation,
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=5,
        capsize=2,
        label=label,
    )
