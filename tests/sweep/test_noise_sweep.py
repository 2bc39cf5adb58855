"""The noise sweep from end to end, on 24 people of LFW: its figures are those of ``faceunc eval``, and it resumes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mini_lfw import PEOPLE, make_mini
from numpy.typing import NDArray

from faceunc.cli import main
from faceunc.cli import sweep_noise as command
from faceunc.errors import InputError
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.cross_quality import evaluate_cross_quality
from faceunc.evaluation.lfw import evaluate_lfw
from faceunc.evaluation.report import EvalReport
from faceunc.evaluation.templates import evaluate_templates
from faceunc.sweep import noise
from faceunc.sweep.noise import METHOD_NAMES, SHARES, NoiseOptions, NoiseSweep, own_score, sweep_noise
from faceunc.sweep.noise_report import TESTS, advantages, growth, table_of
from faceunc.training.loop import TrainOptions

METHODS = ("softmax", "pfe:variance=scalar")


@pytest.fixture(scope="module")
def mini(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mini(
        lfw,
        tmp_path_factory.mktemp("mini"),
        slice(PEOPLE),
        lambda own: [f"{name}\t1\t{2 + i % 3}" for i, name in enumerate(own)],
        lambda own: [f"{name}\t1\t{own[i - 1]}\t2" for i, name in enumerate(own)],
    )


@pytest.fixture(scope="module")
def options(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> NoiseOptions:
    training = TrainOptions(steps=20)
    work = tmp_path_factory.mktemp("cells")
    return NoiseOptions(EvalOptions(mini, train=training), "blur", (0.0, 0.5), (0,), METHODS, "mix", work)


@pytest.fixture(scope="module")
def sweep(options: NoiseOptions) -> NoiseSweep:
    return sweep_noise(options)


def same_figures(report: EvalReport, labels: dict[str, object], found: dict[str, float], prefix: str) -> int:
    (row,) = [row for row in report.rows if labels.items() <= row.items()]
    mine = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    for name, value in mine.items():
        assert value == pytest.approx(row.get(name, row.get(f"{name} (few)")), abs=1e-6), name
    return len(mine)


@pytest.mark.parametrize("method", METHODS)
def test_without_noise_the_figures_are_those_of_faceunc_eval(
    method: str, options: NoiseOptions, sweep: NoiseSweep
) -> None:
    """Share 0 is plain training, and the tests are exactly the protocols."""
    plain = replace(options.eval, methods=(method,))
    lfw, quality, templates = evaluate_lfw(plain), evaluate_cross_quality(plain), evaluate_templates(plain)
    (cell,) = [one for one in sweep.cells if one.method == method and one.share == 0.0]
    score = own_score(method)
    figures, name = cell.figures[score], f"{score} ({method})"
    assert same_figures(lfw, {"score": name, "flip": True}, figures, "LFW ") == 2
    for part in ("a", "b"):
        assert same_figures(quality, {"score": name, "part": part}, figures, f"({part}) ") == 5
    pooled = {"pooling": f"mean ({method})", "score": "cosine"}
    if score == "mls":
        pooled = {"pooling": f"inverse variance ({method})", "score": "mls bayes"}
        frozen = sweep.frozen
        same_figures(lfw, {"score": "cosine", "flip": True}, frozen, "LFW ")
        same_figures(quality, {"score": "cosine", "part": "b"}, frozen, "(b) ")
        same_figures(templates, {"pooling": "mean", "score": "cosine"}, frozen, "templates ")
    assert same_figures(templates, pooled, figures, "templates ") == 4
    known = quality.extra["rank correlation with severity"][f"sigma ({method})"]["all kinds"]
    assert cell.sigma == pytest.approx(known)


def test_noise_makes_a_difference(sweep: NoiseSweep) -> None:
    """On so few pairs the figures of two heads may agree; then their sigma does not."""
    clean, poor = ([(one.figures, one.sigma) for one in sweep.cells if one.share == share] for share in (0.0, 0.5))
    assert len(clean) == len(poor) == 2
    assert all(a != b for a, b in zip(clean, poor, strict=True))


def test_cells_that_are_done_are_not_computed_again(
    options: NoiseOptions, sweep: NoiseSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "measure", None)
    monkeypatch.setattr(noise, "cross_fit", None)
    again = sweep_noise(options)
    assert again.cells == sweep.cells
    assert again.frozen == sweep.frozen
    with pytest.raises(TypeError):
        sweep_noise(replace(options, shares=(0.0, 0.25)))
    labels = replace(options, kind="labels", shares=(0.0,))  # without noise all kinds are one
    assert sweep_noise(labels).cells == [one for one in sweep.cells if one.share == 0.0]


def test_writes_json_table_and_picture(mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "noise.json"
    words = ["sweep", "noise", str(mini), "--kind", "labels", "--shares", "0", "0.5", "--seeds", "0", "1"]
    words += ["--method", "dul-mls", "--steps", "20", "--work", str(tmp_path / "cells"), "--json", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert [cell["method"] for cell in result["cells"]] == ["softmax", "dul-mls"] * 4
    assert set(result["growth"]) == set(TESTS)
    assert {"faceunc", "commit", "command", "machine"} <= set(result["provenance"])
    assert {(row["method"], row["score"], row["share"]) for row in result["rows"]} == {
        (method, score, share)
        for method in ("softmax", "dul-mls")
        for score in ("cosine", "mls")
        for share in (0.0, 0.5)
    }
    assert out.with_suffix(".txt").read_text() in printed
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_command_line_has_the_defaults_of_the_sweep() -> None:
    assert command._METHODS == METHOD_NAMES
    assert NoiseOptions(EvalOptions(Path("x"))).shares == SHARES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "fog"}, "kind must be one of"),
        ({"views": "all"}, "views must be one of"),
        ({"methods": ("pfe",)}, "must hold softmax"),
        ({"shares": (0.1, 0.2)}, "ascend from 0"),
        ({"shares": (0.0, 0.4, 0.2)}, "ascend from 0"),
        ({"shares": (0.0, 1.5)}, "must lie in"),
    ],
)
def test_wrong_options(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        NoiseOptions(EvalOptions(Path("x")), **change)  # type: ignore[arg-type]


def test_advantage_is_against_the_same_seed_and_share(sweep: NoiseSweep) -> None:
    for test in TESTS:
        table = table_of(sweep, test)
        assert table["softmax"].shape == (1, 2)
        found = advantages(sweep, test)
        assert list(found) == ["pfe:variance=scalar"]
        np.testing.assert_array_equal(found[METHODS[1]], table[METHODS[1]] - table["softmax"])


def line(slopes: tuple[float, ...], start: float = 0.3) -> NDArray[np.float64]:
    return np.array([[start + slope * share for share in SHARES] for slope in slopes])


@pytest.mark.parametrize(
    ("slopes", "verdict"),
    [
        ((0.10, 0.11, 0.09), "grows"),
        ((-0.10, -0.11, -0.09), "shrinks"),
        ((0.1, 0.3, -0.1), "not clear"),
        ((0.1,), "not clear"),
    ],
)
def test_growth(slopes: tuple[float, ...], verdict: str) -> None:
    found = growth(SHARES, line(slopes))
    assert found.change == pytest.approx(0.4 * np.mean(slopes))
    assert (found.first, found.last) == (pytest.approx(0.3), pytest.approx(0.3 + 0.4 * np.mean(slopes)))
    assert found.verdict == verdict
    assert (found.low is None) == (len(slopes) == 1)
    if found.low is not None and found.high is not None:  # Student's t with two degrees of freedom: 4.303
        half = 4.303 * 0.4 * np.std(slopes, ddof=1) / 3**0.5
        assert found.low == pytest.approx(found.change - half, rel=1e-3)
        assert found.high == pytest.approx(found.change + half, rel=1e-3)
