"""The sweep on 24 people of LFW: the clean row is the evaluation's, degraded ones the cached path's; it resumes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mini_lfw import FOLDS, PEOPLE, make_mini

from faceunc.cli import main
from faceunc.confidence import pair_evidence
from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.calibration import cross_fit_calibrators, fold_groups, held_out_log_odds
from faceunc.evaluation.comparisons import DrawOptions, draw_comparisons
from faceunc.evaluation.lfw import evaluate_lfw, pair_rows
from faceunc.evaluation.setup import folder_bench
from faceunc.protocols.lfw import read_pairs
from faceunc.scoring.embedded import score_pairs
from faceunc.sweep import degradation, degradation_figures, degradation_odds
from faceunc.sweep.degradation import DegradationOptions, sweep_degradation
from faceunc.sweep.degradation_chips import KindView
from faceunc.sweep.degradation_odds import odds_methods
from faceunc.sweep.degradation_report import DegradationReport
from faceunc.training.loop import TrainOptions

SWEPT = ("blur", "occlusion")
FEW_DRAWN = DrawOptions(impostor=600)


@pytest.fixture(scope="module")
def mini(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_mini(
        lfw,
        tmp_path_factory.mktemp("mini"),
        slice(-PEOPLE, None),
        lambda own: [f"{name}\t{a}\t{b}" for name in own for a, b in ((1, 2), (3, 4))],
        lambda own: [f"{name}\t{k}\t{own[i - k]}\t{k + 1}" for i, name in enumerate(own) for k in (1, 2)],
    )


@pytest.fixture(scope="module")
def options(mini: Path, tmp_path_factory: pytest.TempPathFactory) -> DegradationOptions:
    """Two kinds at two severities, with one head."""
    evaluation = EvalOptions(mini, precision="float32", variances=("scalar",), train=TrainOptions(steps=20), show=False)
    return DegradationOptions(evaluation, SWEPT, (0.0, 0.5, 1.0), work=tmp_path_factory.mktemp("work"))


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for module in (degradation, degradation_figures):
            patch.setattr(module, "REPLICATES", 10)
        patch.setattr(degradation_odds, "_DRAWN", FEW_DRAWN)
        yield


@pytest.fixture(scope="module")
def report(options: DegradationOptions) -> DegradationReport:
    return sweep_degradation(options)


def row_of(report: DegradationReport, kind: str, severity: float, score: str) -> dict[str, Any]:
    (row,) = (r for r in report.rows if (r["kind"], r["severity"], r["score"]) == (kind, severity, score))
    return row


def test_rows(report: DegradationReport) -> None:
    conditions = [("none", 0.0), *((kind, severity) for kind in SWEPT for severity in (0.5, 1.0))]
    scores = ["cosine", "mls (scalar)", "log-odds (scalar)"]
    assert [(r["kind"], r["severity"], r["score"]) for r in report.rows] == [
        (*c, s) for c in conditions for s in scores
    ]
    assert report.kinds == list(SWEPT)
    assert [r["severity"] for r in report.of_kind("occlusion")] == [s for s in (0.0, 0.5, 1.0) for _ in scores]


def test_the_clean_row_is_the_evaluation_of_lfw(report: DegradationReport, options: DegradationOptions) -> None:
    evaluated = evaluate_lfw(options.evaluation)
    for score in ("cosine", "mls (scalar)"):
        (expected,) = (row for row in evaluated.rows if row["score"] == score and not row["flip"])
        found = row_of(report, "none", 0.0, score)
        assert found["re-fitted accuracy"] == pytest.approx(expected["accuracy"])
        assert found["accuracy"] == pytest.approx(expected["accuracy"])
        assert found["EER"] == pytest.approx(expected["eer"])
        assert found["TAR@FAR 0.01"] == expected["TAR@FAR 0.01 (few)"]
        assert (found["z genuine"], found["z impostor"]) == (1.0, 0.0)


@pytest.mark.parametrize("side", ["both", "second"])
def test_degraded_rows_are_those_of_features_on_disk(
    side: str, report: DegradationReport, options: DegradationOptions, tmp_path: Path
) -> None:
    """The oracle goes the way of every evaluation: all photographs of the folder, features in the cache."""
    pairs = read_pairs(options.evaluation.data / "pairs.txt")
    bench = folder_bench(options.evaluation, pairs)
    view, (first, second) = KindView(kind="blur", severity=1.0, seed=options.seed), pair_rows(bench, pairs)
    found = report if side == "both" else sweep_degradation(replace(options, side=side, work=tmp_path))
    calibrators = cross_fit_calibrators(
        draw_comparisons(bench, "scalar", fold_groups(bench, pairs, "scalar"), FEW_DRAWN), FOLDS, "monotone"
    )
    fold_of = dict(zip(pairs.first, pairs.fold.tolist(), strict=True)) | dict(
        zip(pairs.second, pairs.fold.tolist(), strict=True)
    )

    def scored(left: Embeddings, right: Embeddings, score: str) -> Any:
        if score != "log-odds":
            return score_pairs(left, right, score)
        fold = np.array([fold_of[name] for name in left.ids])
        return held_out_log_odds(calibrators, pair_evidence(left, right), fold)

    for name, head, score in [*bench.methods, *odds_methods(bench)]:
        poor, clean = bench.embeddings(view, head), bench.embeddings(KindView(), head)
        scores = scored((poor if side == "both" else clean)[first], poor[second], score)
        row = row_of(found, "blur", 1.0, name)
        assert row["genuine"] == pytest.approx(scores[pairs.same].mean(), rel=1e-4)
        assert row["impostor"] == pytest.approx(scores[~pairs.same].mean(), rel=1e-4)
        rows = np.unique(second) if side == "second" else np.unique([first, second])
        assert row["sigma"] == pytest.approx(poor.sigma[rows].mean(), rel=1e-4)
        assert row["own"] == pytest.approx(scored(clean[rows], poor[rows], score).mean(), rel=1e-4)


def test_the_known_picture(report: DegradationReport) -> None:
    """Under blur genuine cosine falls, impostor cosine rises, sigma rises."""
    clean, poor = (row_of(report, *condition, "cosine") for condition in (("none", 0.0), ("blur", 1.0)))
    assert poor["genuine"] < clean["genuine"]
    assert poor["impostor"] > clean["impostor"]


def test_nothing_is_done_twice(
    report: DegradationReport, options: DegradationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degradation, "subset_bench", None)
    monkeypatch.setattr(degradation_odds, "draw_comparisons", None)
    assert sweep_degradation(options).rows == report.rows


def test_killed_halfway_goes_on(
    report: DegradationReport, options: DegradationOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the figures are those of a run in one go, in another folder."""
    options, computed = replace(options, work=tmp_path), []
    original: Callable[..., Any] = degradation._Sweep.figures

    def killed(sweep: Any, view: KindView) -> Any:
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(view.name)
        return original(sweep, view)

    monkeypatch.setattr(degradation._Sweep, "figures", killed)
    with pytest.raises(KeyboardInterrupt):
        sweep_degradation(options)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(
        degradation._Sweep, "figures", lambda s, view: (computed.append(view.name), original(s, view))[1]
    )
    resumed = sweep_degradation(options)
    assert computed == [view.name for view in options.conditions]
    assert resumed.rows == report.rows


def test_more_severities_use_what_is_there(report: DegradationReport, options: DegradationOptions) -> None:
    before = set(options.work.iterdir())  # type: ignore[union-attr]
    more = sweep_degradation(replace(options, kinds=("occlusion",), severities=(1.0, 0.25)))
    assert len(set(options.work.iterdir()) - before) == 1  # type: ignore[union-attr]
    assert [r["severity"] for r in more.rows if r["score"] == "cosine"] == [0.0, 0.25, 1.0]
    assert row_of(more, "occlusion", 1.0, "cosine") == row_of(report, "occlusion", 1.0, "cosine")


def test_two_folds_have_no_log_odds(options: DegradationOptions, mini: Path, tmp_path: Path) -> None:
    """Each fold has a head of its own then, and no other people to fit a calibrator on."""
    lines = (mini / "pairs.txt").read_text().splitlines()
    (tmp_path / "pairs.txt").write_text("\n".join(["2\t12", *lines[1:49]]) + "\n")
    found = sweep_degradation(
        replace(options, kinds=("jpeg",), severities=(1.0,), pairs_file=tmp_path / "pairs.txt", work=tmp_path)
    )
    assert {row["score"] for row in found.rows} == {"cosine", "mls (scalar)"}
    assert "at least 4" in found.extra["how"]["log-odds"]
    assert "log-odds: left out" in found.table()
    cells = [json.loads(path.read_text()) for path in tmp_path.glob("*.json")]
    assert [cell["key"]["calibration"] for cell in cells] == [None, None]


def test_calibration_is_part_of_a_cell(
    report: DegradationReport, options: DegradationOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(degradation_odds, "_VERSION", "another")
    monkeypatch.setattr(degradation, "subset_bench", lambda *_: pytest.fail("computes again"))
    with pytest.raises(pytest.fail.Exception, match="computes again"):
        sweep_degradation(options)


@pytest.mark.parametrize("change", [{"seed": 102}, {"side": "second"}])
def test_seed_and_side_are_part_of_a_cell(options: DegradationOptions, change: dict[str, Any]) -> None:
    pairs = read_pairs(options.evaluation.data / "pairs.txt")
    bench = folder_bench(options.evaluation, pairs)
    for view, same in ((KindView(), True), (options.conditions[1], False)):
        other = replace(options, **change)
        moved = view if same else other.conditions[1]
        keys = [
            degradation._Sweep(o, pairs, bench, bench.methods, int).key(v) for o, v in ((options, view), (other, moved))
        ]
        assert (keys[0] == keys[1]) is same
        json.dumps(keys)


def test_command(
    report: DegradationReport, options: DegradationOptions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reads the same cells; writes JSON, table and two pictures."""
    out = tmp_path / "out.json"
    words = ["--kinds", *SWEPT, "--severities", "0.5", "1", "--work", str(options.work), "--precision", "float32"]
    code = main(["sweep", "degradation", str(options.evaluation.data), *words, "--steps", "20", "--json", str(out)])
    assert code == 0
    printed = capsys.readouterr().out
    result = json.loads(out.read_text())
    assert result["rows"] == report.rows
    assert {"faceunc", "commit", "command", "machine"} <= set(result["provenance"])
    assert out.with_suffix(".txt").read_text() in printed
    assert "TAR@FAR 0.01 (few)" in printed
    for name in ("out.png", "out-pairs.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
