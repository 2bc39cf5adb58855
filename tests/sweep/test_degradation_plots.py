"""What is drawn are the rows; the pictures say what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from faceunc.plots.sweep import plot_figure, save_grid, save_pairs
from faceunc.sweep.degradation_kinds import DESCRIBED, amount

FIGURES = ("FMR", "FNMR", "accuracy", "TAR@FAR 0.01", "sigma", "refused", "guarded FMR")
SCORES = {"cosine": "pfe", "mls (pfe)": "pfe", "mls (dul-mls)": "dul-mls", "log-odds (pfe)": "pfe"}


class Rows:
    """As much of a report as is drawn."""

    def __init__(self, kinds: list[str]) -> None:
        self.kinds, rng = kinds, np.random.default_rng(0)
        conditions = [("none", 0.0), *((kind, s) for kind in kinds for s in (0.5, 1.0))]
        self.rows = []
        for kind, severity in conditions:
            for score, head in SCORES.items():
                row: dict[str, Any] = {"kind": kind, "severity": severity, "score": score, "head": head}
                row["amount"] = amount(kind, severity)
                for name in (*FIGURES, "z genuine", "z impostor", "z own"):
                    row[name] = float(rng.uniform())
                    row |= {f"low {name}": row[name] - 0.1, f"high {name}": row[name] + 0.1}
                for name in ("z genuine", "z impostor", "z own"):
                    row |= {f"{name} q0.05": row[name] - 0.4, f"{name} q0.95": row[name] + 0.4}
                self.rows.append(row | {"z threshold": 0.6})

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["kind"] in ("none", kind)]


def assert_png(path: Path) -> None:
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert np.asarray(image.convert("L")).std() > 5


def test_line_and_band() -> None:
    rows = [row for row in Rows(["blur"]).rows if row["score"] == "cosine"]
    ax = plot_figure(rows, "FMR", "mine", color="red", marker="s")
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(line.get_ydata(), [row["FMR"] for row in rows])
    (band,) = ax.collections
    ends = band.get_paths()[0].get_extents()
    assert ends.y0 == pytest.approx(min(row["low FMR"] for row in rows))
    assert ends.y1 == pytest.approx(max(row["high FMR"] for row in rows))


def test_what_is_none_is_left_out() -> None:
    rows = [row for row in Rows(["blur"]).rows if row["score"] == "cosine"]
    rows[1]["FMR"] = None
    rows[2]["low FMR"] = None
    ax = plot_figure(rows, "FMR", "mine")
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [0.0, 1.0])
    assert not ax.collections


@pytest.mark.parametrize("kinds", [["blur"], ["noise", "jpeg", "occlusion"]])
def test_grid(kinds: list[str], tmp_path: Path, figures: list[Figure]) -> None:
    rows: Any = Rows(kinds)
    save_grid(rows, tmp_path / "grid.png", "a title")
    assert_png(tmp_path / "grid.png")
    for number, kind in enumerate(kinds):
        line = [ax for ax in figures[0].get_axes() if ax.get_subplotspec().rowspan.start == number]  # type: ignore[union-attr]
        assert [ax.get_xlabel() for ax in line if ax.get_xlabel()] == [DESCRIBED[kind].label]
        assert line[0].get_ylabel() == kind
        for ax in line:
            assert [t.get_text() for t in ax.get_xticklabels()] == ["clean", amount(kind, 0.5), amount(kind, 1.0)]
        for drawn in line[0].get_lines():
            own = [row["FMR"] for row in rows.of_kind(kind) if row["score"] == drawn.get_label()]
            np.testing.assert_array_equal(drawn.get_ydata(), own)
    titles = [ax.get_title() for ax in figures[0].get_axes() if ax.get_title()]
    assert titles[0] == "FMR at the\nclean threshold"
    assert len(titles) == 6
    first = figures[0].get_axes()[0].get_lines()
    assert [line.get_label() for line in first] == list(SCORES)
    for what in ("get_marker", "get_color"):
        assert len({str(getattr(line, what)()) for line in first}) == len(SCORES)
    assert [line.get_linestyle() for line in first] == ["--", "-", "-", "-"]
    assert (figures[0].get_suptitle() or "").startswith("a title")


def test_sigma_is_drawn_once_a_head(tmp_path: Path, figures: list[Figure]) -> None:
    rows: Any = Rows(["blur"])
    save_grid(rows, tmp_path / "grid.png", "a title")
    (sigma,) = (ax for ax in figures[0].get_axes() if "sigma" in ax.get_title() and "mean" in ax.get_title())
    assert [line.get_label() for line in sigma.get_lines()] == ["pfe", "dul-mls"]
    of_mls = [line.get_color() for line in figures[0].get_axes()[0].get_lines() if "mls" in str(line.get_label())]
    assert [line.get_color() for line in sigma.get_lines()] == of_mls


def test_pairs(tmp_path: Path, figures: list[Figure]) -> None:
    rows = Rows(["blur"]).of_kind("blur")
    rows[-1]["low z genuine"] = None  # an interval that could not be had
    save_pairs(rows, tmp_path / "pairs.png", "a title")
    assert_png(tmp_path / "pairs.png")
    axes = figures[0].get_axes()
    assert [ax.get_title() for ax in axes] == list(SCORES)
    assert [ax.get_subplotspec().colspan.start for ax in axes] == [0, 1, 2, 0]  # type: ignore[union-attr]
    for ax in axes:
        own = [row for row in rows if row["score"] == ax.get_title()]
        handles: list[Any] = ax.get_legend_handles_labels()[0]
        drawn = {h.get_label(): h[0] if isinstance(h, tuple) else h for h in handles}  # a line, or one with bars
        expected = {
            "genuine pairs": "z genuine",
            "a photograph and its own degraded version": "z own",
            "impostor pairs": "z impostor",
        }
        assert set(drawn) == {*expected, "threshold of FMR 1e-2 on clean pairs"}
        for name, key in expected.items():
            np.testing.assert_array_equal(drawn[name].get_ydata(), [row[key] for row in own])
        assert len({line.get_linestyle() for line in drawn.values()}) == 4
        assert len({to_hex(line.get_color()) for line in drawn.values()}) == 4
        assert set(drawn["threshold of FMR 1e-2 on clean pairs"].get_ydata()) == {0.6}
        assert len(ax.collections) >= 2
