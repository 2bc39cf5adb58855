"""The check that sigma carries something."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.embeddings import harmonic_log_var
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.training.collapse import CollapseReport, collapse_report, predict_log_var, rank_correlation
from faceunc.training.data import KIND_NAMES, TrainingData

N, ROWS = 200, np.arange(50, 200)


def made_up() -> TrainingData:
    """A clean view and two degraded ones; the trivial measures know nothing."""
    rng = np.random.default_rng(0)
    severity = rng.uniform(size=(3, N))
    severity[0] = 0.0
    kind = rng.integers(1, 4, (3, N))
    kind[0] = 0
    return TrainingData(
        pooled=torch.randn(3, N, 8, generator=torch.Generator().manual_seed(0)),
        mean=torch.zeros(3, N, 4),
        person=np.zeros(N, np.int64),
        people=["p"],
        usable=np.ones(N, bool),
        severity=severity,
        kind=kind,
        norm=rng.uniform(size=(3, N)).astype(np.float32),
        sharpness=rng.uniform(size=(3, N)).astype(np.float32),
        face_size=rng.uniform(size=N).astype(np.float32),
    )


def report_of(log_var: NDArray[np.float64]) -> CollapseReport:
    return collapse_report(log_var.astype(np.float32)[..., None], made_up(), ROWS)


def good() -> NDArray[np.float64]:
    return 2 * made_up().severity - 7 + 0.2 * np.random.default_rng(1).standard_normal((3, N))


def test_no_warning_for_a_good_sigma() -> None:
    report = report_of(good())
    assert report.warnings == []
    assert report.sigma > 0.8
    assert report.images == 150
    assert list(report.by_kind) == [KIND_NAMES[code] for code in (1, 2, 3)]
    assert all(value > 0.8 for value in report.by_kind.values())
    assert json.loads(json.dumps(report.to_dict()))["warnings"] == []


def test_constant_sigma() -> None:
    report = report_of(np.full((3, N), -7.0))
    assert report.spread == pytest.approx(0.0, abs=1e-6)
    assert any("hardly differs" in text for text in report.warnings)
    assert any("does not follow" in text for text in report.warnings)


def test_random_sigma() -> None:
    report = report_of(np.random.default_rng(2).standard_normal((3, N)) - 7)
    assert not any("hardly differs" in text for text in report.warnings)
    assert any("does not follow" in text for text in report.warnings)


def test_reversed_sigma() -> None:
    assert any("does not follow" in text for text in report_of(-good()).warnings)


@pytest.mark.parametrize("name", ["norm", "sharpness"])
def test_a_trivial_measure_that_does_as_well(name: str) -> None:
    data = made_up()
    getattr(data, name)[:] = -data.severity
    report = collapse_report(good().astype(np.float32)[..., None], data, ROWS)
    assert getattr(report, name) == pytest.approx(1.0)
    assert [text.split()[0] for text in report.warnings] == [name]


def test_only_held_out_rows_count() -> None:
    log_var = good()
    log_var[:, :50] = np.nan
    assert report_of(log_var) == report_of(good())


def test_clean_views_count_for_the_spread_only() -> None:
    log_var = good()
    log_var[0] += 30.0
    assert report_of(log_var).sigma == report_of(good()).sigma
    assert report_of(log_var).spread > 10 > report_of(good()).spread


def test_summary_is_the_log_of_the_harmonic_mean() -> None:
    log_var = np.random.default_rng(3).standard_normal((5, 4)).astype(np.float32)
    assert np.allclose(harmonic_log_var(log_var), np.log(4 / np.exp(-log_var).sum(1)), atol=1e-6)
    assert np.allclose(harmonic_log_var(log_var[:, :1]), log_var[:, 0])
    assert np.allclose(harmonic_log_var(np.full((2, 4), -2000.0, np.float32)), -2000.0)


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 30], [0.1, 0.2, 0.3]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, np.nan, 3], [3, 2, 9, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == rank_correlation([1, 2, 3], [1, 1, 1]) == 0.0
    assert rank_correlation([1, 2], [1, 2]) == rank_correlation([], []) == 0.0


def test_predict_log_var_is_the_head_row_by_row() -> None:
    torch.manual_seed(0)
    head, data = PFEHead(PFEConfig((4, 1, 1), 5, hidden=8)).eval(), made_up()
    torch.nn.init.normal_(head.bodies[0][-1].weight)
    found = predict_log_var(head, data)
    assert found.shape == (3, N, 5)
    assert np.allclose(found[2, 7], head.from_pooled(data.pooled[2, 7:8]).detach()[0], atol=1e-5)
