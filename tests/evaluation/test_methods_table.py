"""The table of all methods and the epistemic report, small: on 24 people of LFW."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_small import mini  # noqa: F401

from faceunc.evaluation import epistemic
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.epistemic import evaluate_epistemic
from faceunc.evaluation.methods import BASELINE, TRAINING, MethodFigures, evaluate_methods, inference_cost, over_seeds
from faceunc.evaluation.strange import drawing_chips, texture_chips, upside_down
from faceunc.plots.methods import save_epistemic, save_methods
from faceunc.training.loop import TrainOptions

METHODS = ("pfe:variance=scalar", "dul-mls", "vmf")


def test_every_method_and_score_has_its_row(mini: Path, tmp_path: Path) -> None:  # noqa: F811
    options = EvalOptions(mini, train=TrainOptions(steps=20))
    runs = [evaluate_methods(replace(options, train=TrainOptions(20, seed=seed)), METHODS) for seed in (0, 1)]
    rows = over_seeds(runs)
    assert [(row["method"], row["score"]) for row in rows] == [
        (BASELINE, "cosine"),
        ("pfe:variance=scalar", "mls"),
        ("dul-mls", "cosine"),
        ("dul-mls", "mls"),
        ("vmf", "mls"),
        ("vmf", "vmf"),
    ]
    for row in rows:
        assert {"LFW acc", "(a) acc", "(a) 1e-2", "(b) 1e-3", "std (a) acc"} <= set(row)
        assert any(name.startswith("templates") for name in row)
        assert all(0.0 <= row[name] <= 1.0 for name in row if name.startswith(("(a)", "(b)", "LFW")))
    assert runs[0][0].figures == runs[1][0].figures  # the baseline has nothing to do with the seed of training
    save_methods(rows, tmp_path / "m.png", "test")
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    cost = inference_cost(options, ("pfe", "vmf*2", "serfiq"))
    assert 0.0 < cost["pfe"] < 0.5


def test_over_seeds() -> None:
    runs = [[MethodFigures("m", "mls", {"x": value, "y": 1.0})] for value in (1.0, 2.0, 6.0)]
    (row,) = over_seeds(runs)
    assert row["x"] == 3.0
    assert row["std x"] == pytest.approx(np.std([1.0, 2.0, 6.0], ddof=1))
    assert row["std y"] == 0.0
    assert row["seeds"] == 3


def test_over_seeds_of_a_figure_that_the_first_seed_lacks() -> None:
    runs = [[MethodFigures("m", "mls", {"x": 1.0} | extra)] for extra in ({}, {TRAINING: 7.0}, {TRAINING: 5.0})]
    assert over_seeds(runs)[0][TRAINING] == 5.0


def test_epistemic_report(mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(epistemic, "COUNT", 12)
    report = evaluate_epistemic(EvalOptions(mini, train=TrainOptions(steps=20)), "dul-mls*2", passes=10)
    assert {"clean", "upside down", "textures", "drawings"} < set(report.sets)
    assert all(set(row) == {"aleatoric", "epistemic", "MC dropout"} for row in report.sets.values())
    assert all(value > 0 for row in report.sets.values() for value in row.values())
    assert all(0 <= value <= 1 for row in report.detection.values() for value in row.values())
    assert [row["people"] for row in report.shares.values()] == [2, 4, 12]
    save_epistemic([report, report], tmp_path / "e.png", "test")
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


def test_strange_chips() -> None:
    for make in (texture_chips, drawing_chips):
        chips = make(13, 32, 0)
        assert chips.shape == (13, 32, 32, 3)
        assert chips.dtype == np.uint8
        np.testing.assert_array_equal(chips, make(13, 32, 0))
        assert (chips != make(13, 32, 1)).any()
    np.testing.assert_array_equal(upside_down(upside_down(chips)), chips)
