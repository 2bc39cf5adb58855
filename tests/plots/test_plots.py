"""What is drawn are the metrics' points; what is written are pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import det_curve, roc_curve

from faceunc.evaluation.report import Curve
from faceunc.metrics.rejection import edc_fixed, edc_rechosen
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.plots.edc import Panel, plot_edc, save_edc
from faceunc.plots.roc import new_axes, plot_det, plot_roc, save_roc

Scores = tuple[NDArray[np.float64], NDArray[np.bool_]]


@pytest.fixture
def scores() -> Scores:
    """300 genuine and 500 impostor scores, with ties."""
    rng = np.random.default_rng(0)
    same = np.arange(800) < 300
    return rng.normal(1.5 * same, 1).round(2), same


def assert_png(path: Path) -> None:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300
        assert np.asarray(image.convert("L")).std() > 5  # something is drawn


def test_roc(scores: Scores) -> None:
    """Points of scikit-learn's curve with a FAR above 0; all of those up to a FAR of 0.1."""
    ax = plot_roc(*scores, name="mine", color="red")
    (line,) = ax.get_lines()
    far, tar = sort_scores(*scores).curve()
    np.testing.assert_array_equal(line.get_xdata(), far)
    np.testing.assert_array_equal(line.get_ydata(), tar)
    fpr, tpr, _ = roc_curve(scores[1], scores[0], drop_intermediate=False)
    oracle = {(round(x, 9), round(y, 9)) for x, y in zip(fpr, tpr, strict=True) if x > 0}
    drawn = {(round(float(x), 9), round(float(y), 9)) for x, y in zip(far, tar, strict=True)}
    assert drawn <= oracle
    assert {x for x, _ in drawn if x < 0.1} == {x for x, _ in oracle if x < 0.1}
    assert (1.0, 1.0) in drawn
    assert (line.get_label(), line.get_color(), line.get_drawstyle()) == ("mine", "red", "steps-post")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_xlabel().startswith("FAR")
    assert ax.get_ylabel().startswith("TAR")


def test_det(scores: Scores) -> None:
    ax = plot_det(*scores, name="mine")
    (line,) = ax.get_lines()
    fpr, fnr, _ = det_curve(scores[1], scores[0])
    oracle = {(round(x, 9), round(y, 9)) for x, y in zip(fpr, fnr, strict=True)}
    fmr, fnmr = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    drawn = {(round(float(x), 9), round(float(y), 9)) for x, y in zip(fmr, fnmr, strict=True)}
    assert drawn
    assert drawn <= oracle
    assert (fnmr > 0).all()
    assert (fmr > 0).all()
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


def test_det_without_errors_is_empty() -> None:
    (line,) = plot_det([0.1, 0.2, 0.8, 0.9], [False, False, True, True], "perfect").get_lines()
    assert len(np.asarray(line.get_xdata())) == 0


def test_several_methods_share_axes(scores: Scores) -> None:
    ax = new_axes()
    assert plot_roc(*scores, name="one", ax=ax) is ax
    assert plot_roc(-scores[0], scores[1], name="two", ax=ax, linestyle="--") is ax
    assert [line.get_label() for line in ax.get_lines()] == ["one", "two"]
    assert ax.get_lines()[1].get_linestyle() == "--"
    curve = edc_fixed(scores[0][scores[1]], np.arange(300), 0.5)
    assert plot_edc(curve, "three", ax) is ax
    assert new_axes() is not ax


def test_axes_belong_to_no_session(scores: Scores) -> None:
    """pyplot does not know the figures: nothing has to be closed."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    plot_roc(*scores, name="mine")
    assert plt.get_fignums() == before


@pytest.mark.parametrize("how", ["fixed", "re-chosen"])
def test_edc(scores: Scores, how: str) -> None:
    values, same = scores
    quality = np.random.default_rng(1).integers(0, 50, 800).astype(float)
    if how == "fixed":
        curve = edc_fixed(values[same], quality[same], 0.8)
    else:
        curve = edc_rechosen(values, same, quality, 0.05, np.linspace(0, 0.5, 11))
    ax = plot_edc(curve, "quality", color="k", linestyle=":")
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), curve.discarded)
    np.testing.assert_array_equal(line.get_ydata(), curve.error)
    assert np.asarray(line.get_ydata())[0] == pytest.approx(
        np.mean(values[same] < 0.8) if how == "fixed" else 1 - sort_scores(values, same).tar_at_far(0.05).tar
    )
    assert (line.get_label(), line.get_linestyle(), to_rgba(line.get_color())) == ("quality", ":", to_rgba("k"))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("share discarded", curve.name)


def test_save_roc(scores: Scores, tmp_path: Path, figures: list[Figure]) -> None:
    curves = [
        Curve("cosine", *sort_scores(*scores).curve()),
        Curve("mls", *sort_scores(scores[0] ** 3, scores[1]).curve()),
    ]
    save_roc(curves, tmp_path / "roc.png", "a title")
    assert_png(tmp_path / "roc.png")
    (ax,) = figures[0].get_axes()
    for line, curve in zip(ax.get_lines(), curves, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), curve.far)
        np.testing.assert_array_equal(line.get_ydata(), curve.tar)
        assert line.get_label() == curve.name
    assert [line.get_linestyle() for line in ax.get_lines()] == ["--", "-"]
    assert ax.get_title() == "a title"
    assert ax.get_xlim() == pytest.approx((1 / 500, 1.0))  # from one impostor on
    assert ax.get_ylim()[0] < min(curve.tar[0] for curve in curves)


def panel(number: int, rechosen: bool = True) -> Panel:
    rng = np.random.default_rng(number)
    names = ("sigma", "norm", "random", "oracle")
    curves = {name: (rng.uniform(0, 1, 51), rng.uniform(0, 1, 26) if rechosen else None) for name in names}
    return Panel(f"panel {number}", curves)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_save_edc(tmp_path: Path, count: int, figures: list[Figure]) -> None:
    """Each panel's curves are drawn twice, in the panel with its name; the two kinds below each other."""
    panels = [panel(number, rechosen=number != 2) for number in range(count)]
    save_edc(panels, tmp_path / "edc.png", "a title")
    assert_png(tmp_path / "edc.png")
    axes = {ax.get_title(): ax for ax in figures[0].get_axes() if ax.get_title()}
    assert len(axes) == 2 * count
    for one in panels:
        pair = [axes[f"{one.title}\nthreshold {label}"] for label in ("fixed", "re-chosen")]
        rows = [ax.get_subplotspec().rowspan.start for ax in pair]  # type: ignore[union-attr]
        columns = [ax.get_subplotspec().colspan.start for ax in pair]  # type: ignore[union-attr]
        assert rows[1] == rows[0] + 1
        assert columns[0] == columns[1]
        for kind, ax in enumerate(pair):
            lines = {str(line.get_label()): line for line in ax.get_lines()}
            expected = {name: both[kind] for name, both in one.curves.items() if both[kind] is not None}
            assert set(lines) == set(expected)
            for name, error in expected.items():
                assert error is not None
                np.testing.assert_array_equal(lines[name].get_ydata(), error)
                np.testing.assert_array_equal(lines[name].get_xdata(), np.linspace(0, 0.5, len(error)))
            assert (ax.get_xlim(), ax.get_ylim()[0]) == ((0.0, 0.5), 0.0)
    suptitle = figures[0].get_suptitle()
    assert suptitle == "a title"
