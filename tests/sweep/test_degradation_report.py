"""Rows of the report: one scale for all scores, and no errors of a handful of pairs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from faceunc.sweep.degradation_chips import KindView
from faceunc.sweep.degradation_figures import QUANTILES
from faceunc.sweep.degradation_report import MEANS, DegradationReport, standardised


def cell(genuine: float, impostor: float, refused: float) -> dict[str, Any]:
    """Figures of one score "mls" of one head "h"."""
    means = {"genuine": genuine, "impostor": impostor, "own": genuine + 1}
    score: dict[str, Any] = {"threshold": 4.0, "refused genuine": refused, "refused impostor": refused}
    for name in MEANS:
        score |= {name: means[name], f"low {name}": means[name] - 0.2, f"high {name}": None}
        score |= {f"{name} q{level:g}": means[name] + level for level in QUANTILES}
    for name in ("kept FMR", "kept FNMR"):
        score |= {name: 0.1, f"low {name}": 0.05, f"high {name}": 0.2}
    return {"scores": {"mls": score}, "sigma": {"h": {"sigma": 0.03}}}


@pytest.fixture
def report() -> DegradationReport:
    bench: Any = SimpleNamespace()
    options: Any = None
    made = DegradationReport(
        "sweep degradation", options, bench, methods=[("mls", "h", "mls")], genuine=100, impostors=200
    )
    made.add_cell(KindView(), cell(6.0, 2.0, 0.0))
    made.add_cell(KindView(kind="blur", severity=0.5), cell(5.0, 3.0, 0.93))
    made.add_cell(KindView(kind="noise", severity=0.5), cell(4.0, 3.0, 0.5))
    return made


def test_one_scale(report: DegradationReport) -> None:
    clean, blur, noise = report.rows
    assert [row["z genuine"] for row in report.rows] == [1.0, 0.75, 0.5]
    assert [row["z impostor"] for row in report.rows] == [0.0, 0.25, 0.25]
    assert (clean["z threshold"], blur["z own"], noise["z genuine q0.5"]) == (0.5, 1.0, 0.625)
    assert (blur["low z genuine"], blur["high z genuine"]) == (pytest.approx(0.7), None)
    assert standardised(None, clean) is None


def test_errors_of_fewer_than_ten_pairs_are_left_out(report: DegradationReport) -> None:
    """7 genuine and 14 impostor pairs are left under blur."""
    _, blur, noise = report.rows
    assert {blur[f"{end}kept FNMR"] for end in ("", "low ", "high ")} == {None}
    assert (blur["kept FMR"], noise["kept FMR"], noise["kept FNMR"]) == (0.1, 0.1, 0.1)


def test_kinds(report: DegradationReport) -> None:
    assert report.kinds == ["blur", "noise"]
    assert [row["kind"] for row in report.of_kind("noise")] == ["none", "noise"]
    assert [row["amount"] for row in report.rows] == ["clean", "3.5", "42"]


@pytest.mark.parametrize(("impostors", "few"), [(999, 2), (1000, 1), (9999, 1), (10_000, 0)])
def test_rates_of_fewer_than_ten_impostors_are_marked(impostors: int, few: int, report: DegradationReport) -> None:
    report.impostors = impostors
    report.bench.source = SimpleNamespace(backbone=SimpleNamespace(spec=SimpleNamespace(input_size=150)))  # type: ignore[misc]
    report.describe("both", 1, 10)
    assert len(report.extra.get("few", {})) == few


@pytest.mark.parametrize("why", ["", "no such folds"])
def test_notes_say_what_the_log_odds_are_or_why_there_are_none(why: str, report: DegradationReport) -> None:
    report.bench.source = SimpleNamespace(backbone=SimpleNamespace(spec=SimpleNamespace(input_size=150)))  # type: ignore[misc]
    report.describe("both", 1, 10, why)
    note = report.extra["how"]["log-odds"]
    assert (note == "left out: no such folds") if why else ("other people" in note)
