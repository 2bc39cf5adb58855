"""What :func:`faceunc.sine.run_sine` found, as numbers and as a table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from tabulate import tabulate

from faceunc.sine import DATA_END, PLOT_END, Bands, Line, SineResult, noise_sd

INSIDE_END = 4.0  # |x| up to here is well inside the data
OUTSIDE_START = 8.0  # and from here on well outside
PLACES = (-10.0, -7.5, -5.0, -2.5, 0.0, 1.0, 2.5, 5.0, 7.5, 10.0)

_FACTS = (
    ("epistemic sd inside", "epistemic sd, well inside the data (|x| <= 4)", "{:.3f}"),
    ("epistemic sd outside", "epistemic sd, well outside (8 <= |x| <= 10)", "{:.3f}"),
    ("outside / inside", "- how many times larger", "{:.1f}"),
    ("epistemic sd, rank correlation with the noise", "- rank correlation with the noise, |x| <= 5", "{:.2f}"),
    ("aleatoric sd, median relative error", "aleatoric sd, median error against the noise, |x| <= 5", "{:.0%}"),
    ("aleatoric sd, rank correlation with the noise", "- rank correlation with the noise, |x| <= 5", "{:.2f}"),
    ("error of the mean", "rms error of the mean, |x| <= 4", "{:.3f}"),
)
_NOTE = """* no training point there: the bands open, but need not hold sin x, and the aleatoric sd is an extrapolation.
Standard deviations, in the unit of y; total^2 = aleatoric^2 + epistemic^2.
Where the error of the mean is far above the epistemic sd, the networks agree upon the same error, having seen the same
points: well inside the data an ensemble is too sure of its mean."""


def inside(grid: Line) -> NDArray[np.bool_]:
    """Whether |x| <= 4."""
    return np.abs(grid) <= INSIDE_END


def outside(grid: Line) -> NDArray[np.bool_]:
    """Whether 8 <= |x| <= 10."""
    return np.abs(grid) >= OUTSIDE_START


def on_data(grid: Line) -> NDArray[np.bool_]:
    """Whether |x| <= 5."""
    return np.abs(grid) <= DATA_END


def method_values(result: SineResult, bands: Bands) -> dict[str, float]:
    """A method's figures; standard deviations in the unit of y, averaged over x unless it says otherwise."""
    x, data = result.grid, on_data(result.grid)
    near, far = float(bands.epistemic[inside(x)].mean()), float(bands.epistemic[outside(x)].mean())
    off = bands.aleatoric[data] / noise_sd(x[data]) - 1.0
    return {
        "epistemic sd inside": near,
        "epistemic sd outside": far,
        "outside / inside": far / near,
        "aleatoric sd, median relative error": float(np.median(np.abs(off))),
        "aleatoric sd, rank correlation with the noise": _rank_correlation(bands.aleatoric[data], noise_sd(x[data])),
        "epistemic sd, rank correlation with the noise": _rank_correlation(bands.epistemic[data], noise_sd(x[data])),
        "error of the mean": float(np.sqrt(np.mean((bands.mean - np.sin(x))[inside(x)] ** 2))),
    }


def sine_values(result: SineResult) -> dict[str, Any]:
    """Everything for JSON: the configuration, the figures of both methods, and the decomposition at ten x."""
    places = [int(np.argmin(np.abs(result.grid - place))) for place in PLACES]
    return {
        "config": asdict(result.config),
        "regions": {"inside": [0.0, INSIDE_END], "outside": [OUTSIDE_START, PLOT_END], "data": [0.0, DATA_END]},
        "methods": {bands.name: method_values(result, bands) for bands in result.methods},
        "along x": [
            {
                "x": float(result.grid[place]),
                "noise sd": float(noise_sd(result.grid[place : place + 1])[0]),
                **{bands.name: _parts(bands, place) for bands in result.methods},
            }
            for place in places
        ],
    }


def sine_table(result: SineResult) -> str:
    """For a terminal: both facts in figures, then the decomposition along x."""
    return "\n\n".join((_facts(result), _along_x(result), _NOTE))


def _facts(result: SineResult) -> str:
    values = [method_values(result, bands) for bands in result.methods]
    rows = [[meaning, *(form.format(one[key]) for one in values)] for key, meaning, form in _FACTS]
    headers = ["", *(bands.name for bands in result.methods)]
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", "right", "right"))


def _along_x(result: SineResult) -> str:
    rows = []
    for entry in sine_values(result)["along x"]:
        mark = "*" if abs(entry["x"]) > DATA_END else " "
        parts = [value for bands in result.methods for value in entry[bands.name].values()]
        rows.append([f"{entry['x']:.1f}{mark}", entry["noise sd"], *parts])
    headers = ["sd at x", "noise", *(f"{name}\n{kind}" for name, kind in _columns(result))]
    return tabulate(rows, headers=headers, floatfmt=".3f", colalign=("right",), disable_numparse=[0])


def _columns(result: SineResult) -> list[tuple[str, str]]:
    kinds = ("aleatoric", "epistemic", "total")
    return [(bands.name if kind == kinds[0] else "", kind) for bands in result.methods for kind in kinds]


def _parts(bands: Bands, place: int) -> dict[str, float]:
    return {kind: float(getattr(bands, kind)[place]) for kind in ("aleatoric", "epistemic", "total")}


def _rank_correlation(one: Line, other: Line) -> float:
    return float(spearmanr(one, other).statistic)
