"""The figures that the README reports for dlib's backbone, on the whole of LFW (about 20 minutes)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.cross_quality import evaluate_cross_quality
from faceunc.evaluation.ijb import evaluate_ijb
from faceunc.evaluation.lfw import evaluate_lfw
from faceunc.evaluation.rejection import evaluate_rejection
from faceunc.evaluation.report import EvalReport
from faceunc.evaluation.templates import evaluate_templates
from faceunc.images.photos import identity_folder
from faceunc.protocols.make_ijb import make_ijb

pytestmark = pytest.mark.slow


def figure(report: EvalReport, name: str, **labels: object) -> float:
    """The one figure ``name`` of the row with these labels."""
    rows = [row for row in report.rows if all(row[k] == v for k, v in labels.items())]
    assert len(rows) == 1
    return float(next(value for key, value in rows[0].items() if key.removesuffix(" (few)") == name))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of this file: detection and features are computed once."""
    return tmp_path_factory.mktemp("lfw-cache")


@pytest.fixture
def options(lfw: Path, cache: Path) -> EvalOptions:
    return EvalOptions(lfw, cache=cache)


def test_lfw_view2_cosine_and_mls(options: EvalOptions) -> None:
    report = evaluate_lfw(options)
    assert report.bench.source.landmarks.counts()["found"] >= 13_230
    cosine = figure(report, "accuracy", score="cosine", flip=True)
    assert cosine >= 0.991
    assert figure(report, "accuracy", score="mls (per-dimension)", flip=True) >= cosine


def test_cross_quality_mls_beats_cosine(options: EvalOptions) -> None:
    report = evaluate_cross_quality(options)
    error = {s: 1 - figure(report, "accuracy", part="a", score=s) for s in ("cosine", "mls (scalar)")}
    assert error["mls (scalar)"] <= 0.85 * error["cosine"]
    for name in ("accuracy", "TAR@FAR 0.001"):
        both = [figure(report, name, part="b", score=score) for score in ("cosine", "mls (scalar)")]
        assert both[1] > both[0]
    correlation = {name: row["all kinds"] for name, row in report.extra["rank correlation with severity"].items()}
    trivial = max(correlation[name] for name in ("-norm", "-sharpness", "-face size"))
    for variance in ("per-dimension", "scalar"):
        assert correlation[f"sigma ({variance})"] >= max(0.68, trivial)


def test_templates_inverse_variance_and_mls_halve_the_misses(options: EvalOptions) -> None:
    report = evaluate_templates(options)
    plain = 1 - figure(report, "TAR@FAR 0.001", pooling="mean", score="cosine")
    ours = 1 - figure(report, "TAR@FAR 0.001", pooling="inverse variance (scalar)", score="mls bayes")
    assert ours <= 0.45 * plain


def test_sigma_is_the_best_reason_to_refuse(options: EvalOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faceunc.evaluation.rejection.REPLICATES", 20)
    report = evaluate_rejection(options)
    for row in report.rows:
        rival = row["quality"] in ("norm", "detector score", "sharpness", "face size", "random")
        if rival and "(few)" not in row["FMR"]:
            for limit in ("20%", "50%"):
                assert row[f"low gain to {limit}"] > 0, row


def test_ijb_style_fitted_fusion_takes_away_two_fifths_of_the_misses(options: EvalOptions, tmp_path: Path) -> None:
    made = tmp_path / "made"
    make_ijb(identity_folder(options.data), made, options.cache)
    report = evaluate_ijb(replace(options, data=made, train_on=options.data), "ijbc", flip=True)
    named = report.bench.people
    assert named["images of named people, held out"] == report.extra["protocol"]["images"]
    assert report.extra["gain"]["against mean of media, cosine"]["share of FNMR taken away"] >= 0.4


def test_no_head_meets_a_person_that_it_was_trained_on(options: EvalOptions) -> None:
    from faceunc.training.crossfit import hash_identities

    bench = evaluate_lfw(options).bench
    people = bench.source.photos.identities
    for fit in bench.heads.values():
        for part, head in enumerate(fit.heads):
            met = set(hash_identities({name for name, p in zip(people, fit.part, strict=True) if p == part}))
            assert not met & set(head.card["identity_hashes"])
