"""The review evaluations on a few people of LFW: counts, limits, and what is left after photographs are replaced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_small import mini  # noqa: F401

from faceunc.embeddings import Embeddings
from faceunc.evaluation import recipes_photos
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.comparisons import KINDS
from faceunc.evaluation.recipes_photos import photo_rows
from faceunc.evaluation.recipes_review import DECISIONS, GRID, ORDERS, THRESHOLDS, review_rows
from faceunc.evaluation.recipes_table import Row, over_seeds, with_deviation
from faceunc.evaluation.setup import folder_bench
from faceunc.plots.recipes import save_review
from faceunc.protocols.lfw import read_pairs
from faceunc.training.loop import TrainOptions


@pytest.fixture(scope="module")
def bench(mini: Path) -> Bench:  # noqa: F811
    options = EvalOptions(mini, variances=("scalar",), train=TrainOptions(steps=20))
    return folder_bench(options, read_pairs(mini / "pairs.txt"))


def test_orders_lie_between_nothing_and_the_oracle(bench: Bench, mini: Path, tmp_path: Path) -> None:  # noqa: F811
    pairs = read_pairs(mini / "pairs.txt")
    rows, curves = review_rows(bench, "scalar", pairs, 101)
    assert len(rows) == len(KINDS) * len(DECISIONS) * len(THRESHOLDS) * len(ORDERS)
    by_case: dict[tuple[str, ...], dict[str, dict[str, float]]] = {}
    for row in rows:
        *case, order = row.labels.values()
        by_case.setdefault(tuple(case), {})[order] = row.figures
    for of in by_case.values():
        assert len({round(figures["errors"], 6) for figures in of.values()}) == 1
        for figures in of.values():
            assert figures["found in 100"] <= of["oracle"]["found in 100"] == min(100, figures["errors"])
            assert figures["found in 1000"] == pytest.approx(figures["errors"])  # more reviews than pairs
            assert figures["accuracy after 1000"] == pytest.approx(1.0)
    assert all(len(found) == len(GRID) and (np.diff(found) >= -1e-9).all() for found in curves.values())
    save_review(curves, GRID, tmp_path / "r.png", "test", next(iter(THRESHOLDS)))
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


def test_replaced_photographs_leave_fewer_errors(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes_photos, "FMR", 0.02)
    monkeypatch.setattr(recipes_photos, "SHARES", (0.5, 1.0))
    rows = {row.labels["order"]: row.figures for row in photo_rows(bench, "scalar", 101)}
    assert {"random", "sigma", "expected errors"} <= set(rows)
    assert len({figures["errors"] for figures in rows.values()}) == 1
    assert len({round(figures["left after 100%"], 9) for figures in rows.values()}) == 1  # all replaced: any order
    assert all(figures["left after 50%"] > 0 for figures in rows.values())


def test_taking_the_worst_photograph_again_mends_its_comparisons() -> None:
    """Two people of two photographs; the first photograph looks like the other person until it is taken again."""
    retaken = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]]
    poor = retaken.copy()
    poor[0] = retaken[2]
    first, second = np.triu_indices(4, 1)
    faces = [Embeddings(mean, np.zeros((4, 1), np.float32), list("abcd")) for mean in (poor, retaken)]
    side = recipes_photos._Side(np.arange(4), *faces, first, second, first // 2 == second // 2)
    assert recipes_photos._errors_left(side, np.array([0, 1, 2, 3]), 0.5, (0.25, 1.0)).tolist() == [3, 0, 0]
    assert recipes_photos._errors_left(side, np.array([3, 2, 1, 0]), 0.5, (0.25, 1.0)).tolist() == [3, 3, 0]


def test_means_over_seeds() -> None:
    runs = [[Row({"order": "a"}, {"x": value})] for value in (1.0, 2.0, 6.0)]
    (row,) = over_seeds(runs)
    assert (row["order"], row["x"]) == ("a", 3.0)
    assert row["std x"] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert over_seeds(runs[:1])[0]["std x"] == 0.0
    with pytest.raises(ValueError, match="every seed must have one row"):
        over_seeds([*runs, [Row({"order": "b"}, {"x": 1.0})]])
    with pytest.raises(ValueError, match="with the same figures"):
        over_seeds([*runs, [Row({"order": "a"}, {"y": 1.0})]])


def test_words_of_a_figure() -> None:
    row = {"x": 0.9154, "std x": 0.0041, "y": 73.04, "std y": 2.06, "z": 10.5, "std z": 0.5}
    assert with_deviation(row, "x") == ".915 ±.004"
    assert with_deviation(row, "y", 1) == "73.0 ±2.1"
    assert with_deviation(row, "z", 1) == "10.5 ±.5"
    assert with_deviation(row, "missing") == ""
