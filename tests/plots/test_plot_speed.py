"""Pictures of speed: what is drawn are the figures that were given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from faceunc.plots.speed import Bars, Growth, plot_bars, plot_growth, plot_memory, save_growth, save_speed

BARS = Bars("all pairs", "Mpairs/s", {"loop": 2.7, "ours": 60.0}, ["ours"], {"limit": 108.0}, log=True)
WORK = Growth([10, 100, 1000], [0.002, 0.1, 10.0], 2.0, 1e-5, [100, 1000])


def test_bars() -> None:
    ax = plot_bars(BARS)
    loop, ours = ax.patches
    assert (loop.get_width(), ours.get_width()) == (2.7, 60.0)
    assert loop.get_facecolor() != ours.get_facecolor() == to_rgba("#0072B2")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["loop", "ours"]
    assert loop.get_y() < ours.get_y()
    assert ax.yaxis_inverted()
    assert {text.get_text() for text in ax.texts} == {"2.7", "60"}
    (line,) = ax.get_lines()
    assert list(line.get_xdata()) == [108.0, 108.0]
    assert (ax.get_xscale(), ax.get_xlabel(), ax.get_title(loc="left")) == ("log", "Mpairs/s", "all pairs")


def test_growth_draws_the_points_and_the_fitted_power() -> None:
    ax = plot_growth({"pairs": WORK})
    points, fitted = ax.get_lines()
    assert list(points.get_xdata()) == WORK.sizes
    assert list(points.get_ydata()) == WORK.seconds
    np.testing.assert_allclose(fitted.get_xdata(), [100, 1000])
    np.testing.assert_allclose(fitted.get_ydata(), [0.1, 10.0])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["pairs: N^2.00"]


def test_growth_names_the_exponent_of_the_algorithm() -> None:
    ax = plot_growth({"pairs": replace(WORK, algorithm=2.0)})
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["pairs: N^2.00 (algorithm: 2)"]


def test_limits_stand_at_the_largest_size() -> None:
    ax = plot_memory({"pairs": {1e3: 40.0, 1e4: 41.0}, "search": {1e3: 7.0}}, limits={"pairs": 48.0})
    limits = [line for line in ax.get_lines() if line.get_marker() == "_" and len(line.get_xdata())]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in limits] == [([1e4], [48.0])]


def test_long_extractions_are_a_third_panel(tmp_path: Path, figures: list[Figure]) -> None:
    resident = {"aligned chips": {1e3: 800.0, 1e4: 810.0}}
    save_growth({"pairs": WORK}, {"pairs": {1e3: 40.0}}, tmp_path / "growth.png", "growth", {"none": 1.0}, resident)
    labels = [ax.get_ylabel() for ax in figures[0].axes]
    assert labels == ["seconds", "peak memory beyond the start, MB", "resident memory, MB"]


def test_memory_starts_at_zero() -> None:
    ax = plot_memory({"pairs": {1e3: 40.0, 1e4: 41.0}})
    (line,) = ax.get_lines()
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1e3, 1e4], [40.0, 41.0])
    assert ax.get_ylim()[0] == 0.0


@pytest.mark.parametrize("panels", [1, 2, 3])
def test_files(tmp_path: Path, panels: int, figures: list[Figure]) -> None:
    save_speed([BARS] * panels, tmp_path / "speed.png", "speed")
    save_growth({"pairs": WORK, "search": WORK}, {"pairs": {1e3: 40.0}}, tmp_path / "growth.png", "growth")
    for name in ("speed.png", "growth.png"):
        with Image.open(tmp_path / name) as image:
            assert image.format == "PNG"
            assert np.asarray(image.convert("L")).std() > 5  # something is drawn
    assert [sum(bool(ax.patches) for ax in figure.axes) for figure in figures] == [panels, 0]


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        save_speed([], tmp_path / "speed.png", "speed")
