"""Examples without labels, and the branch fitted to them: on numbers made up, and on some people of LFW."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from faceunc.detection.evaluation import cross_fit_branch, interval_report, severity_report
from faceunc.detection.example_cache import cached_examples
from faceunc.detection.features import GROUPS, LastStage
from faceunc.detection.intervals import LEVELS, coverages, fit_factors, half_widths, scores
from faceunc.detection.store import load_branch
from faceunc.detection.train import DetectorSigmaRequest, some_of_each, train_detector_sigma
from faceunc.detection.training import BranchOptions, branch_loss, fit_branch
from faceunc.detection.versions import Examples, VersionOptions, make_examples
from faceunc.detection.voting_bench import METHODS, SOURCES, measure_voting, voting_report
from faceunc.errors import InputError
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.photos import PhotoSet, identity_folder

PEOPLE, EACH = 60, 40
NAMES = [f"person {i}" for i in range(PEOPLE)]


def made_up(seed: int = 0) -> tuple[Examples, list[str]]:
    """One photograph a person; sigma depends on the first feature, twice as large for landmarks."""
    rng = torch.Generator().manual_seed(seed)
    count = PEOPLE * EACH
    features = torch.randn(count, 256, generator=rng)
    features[:, 4:] = 0.0
    sigma = 0.02 * torch.exp(0.7 * features[:, :1]).repeat(1, 14)
    sigma[:, GROUPS["landmarks"]] *= 2
    residual = sigma * torch.randn(count, 14, generator=rng)
    severity = torch.sigmoid(features[:, 0]).double().numpy()
    kind = np.where(np.arange(count) % 2, "blur", "noise")
    photo = np.arange(count) % PEOPLE
    found = np.ones(count)
    return Examples(features, residual, torch.zeros(count, 14), found, photo, kind, severity, 0), NAMES


@pytest.fixture(scope="module")
def some(lfw: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[PhotoSet, Landmarks]:
    """Two photographs of each of twelve people at most."""
    whole = identity_folder(lfw)
    people = sorted(set(whole.identities))[:12]
    photos = whole.subset([i for i, name in enumerate(whole.identities) if name in people])
    landmarks = find_landmarks(photos, FaceDetector("central"), tmp_path_factory.mktemp("found"))
    return some_of_each(photos, landmarks, 2)


def test_the_loss_of_a_gaussian_is_least_at_its_variance() -> None:
    torch.manual_seed(0)
    residual = 0.01 * torch.randn(4000, 14)
    at = [float(branch_loss(residual, torch.full((4000, 14), 2 * np.log(s)), 100.0)) for s in (0.007, 0.01, 0.014)]
    assert at[1] < at[0]
    assert at[1] < at[2]
    assert at[1] == pytest.approx(0.5, abs=0.02)  # sigma is 1 percent: log 1 = 0


def test_a_far_residual_counts_less_than_squared() -> None:
    far = torch.full((1, 14), 0.5)
    log_var = torch.full((1, 14), 2 * np.log(0.01))
    assert float(branch_loss(far, log_var, 5.0)) == pytest.approx(5 * (50 - 2.5), rel=1e-5)


def test_factors_make_gaussian_intervals_exact() -> None:
    torch.manual_seed(0)
    log_var = torch.randn(20000, 14).double()
    residual = torch.exp(0.5 * log_var) * torch.randn(20000, 14).double()
    residual[:, GROUPS["box"]] *= 3
    residual[:, GROUPS["landmarks"]] *= 0.5
    factors = fit_factors(residual, log_var)
    assert factors["box"] == pytest.approx(3, rel=0.02)
    assert factors["landmarks"] == pytest.approx(0.5, rel=0.02)
    with pytest.raises(ValueError, match="residual must differ from zero"):
        fit_factors(torch.zeros(5, 14), log_var[:5])


def test_coverage_and_score_of_known_intervals() -> None:
    z = half_widths()
    assert z[[0, 4]].tolist() == pytest.approx([0.6745, 1.95996], abs=1e-4)
    off = np.array([[0.5, 1.0, 1.5, 3.0]])
    found = coverages(off, np.ones((1, 4)))
    assert found == {"0.5": 0.25, "0.68": 0.25, "0.8": 0.5, "0.9": 0.75, "0.95": 0.75}
    expected = 2 * z[4] + 40 * (3.0 - z[4]) / 4
    assert scores(off, np.ones((1, 4)))["0.95"] == pytest.approx(expected)


def test_a_known_sigma_is_learned() -> None:
    examples, names = made_up()
    fit = fit_branch(examples, names, names, options=BranchOptions(steps=600, delta=50.0, lr=3e-3))
    assert [len(p) for p in (fit.train_people, fit.validation_people, fit.calibration_people)] == [42, 9, 9]
    assert not set(fit.train_people) & set(fit.calibration_people) | set(fit.train_people) & set(fit.validation_people)
    fresh, _ = made_up(seed=1)
    with torch.no_grad():
        sigma = torch.exp(0.5 * fit.branch(fresh.features)).numpy()
    truth = 0.02 * np.exp(0.7 * fresh.features[:, 0].numpy())
    for name, part in GROUPS.items():
        own = truth * (2 if name == "landmarks" else 1)
        assert np.median(np.abs(np.log(sigma[:, part] / own[:, None]))) < 0.25
        found = coverages(fresh.residual[:, part].numpy(), sigma[:, part])
        assert all(abs(found[f"{level:g}"] - level) < 0.05 for level in LEVELS)
    again = fit_branch(examples, names, names, options=BranchOptions(steps=600, delta=50.0, lr=3e-3))
    assert torch.equal(again.branch(fresh.features), fit.branch(fresh.features))


def test_cross_fit_never_judges_whom_it_met() -> None:
    examples, names = made_up()
    fit = cross_fit_branch(examples, names, options=BranchOptions(steps=200))
    for number, one in enumerate(fit.fits):
        met = {*one.train_people, *one.validation_people, *one.calibration_people}
        assert met == {name for name, part in zip(names, fit.part, strict=True) if part != number}
    report = interval_report(examples, names, fit)
    severity = severity_report(examples, fit)
    for name in GROUPS:
        better, plain = (report[name][key]["0.9"] for key in ("interval score", "constant sigma: interval score"))
        assert better < plain
        low, high = report[name]["coverage, found, 95% over identities"]["0.9"]
        assert low <= report[name]["coverage, found"]["0.9"] <= high
        assert severity[name]["rank correlation with severity"] > 0.8
    json.dumps([report, severity])


def test_too_few_people() -> None:
    examples, names = made_up()
    with pytest.raises(InputError, match="at least three people"):
        fit_branch(examples, names, names[:2])
    with pytest.raises(InputError, match="leave somebody"):
        fit_branch(examples, names, names[:4], options=BranchOptions(validation=0.5, calibration=0.5))


def test_examples_of_lfw(some: tuple[PhotoSet, Landmarks]) -> None:
    photos, landmarks = some
    options = VersionOptions(versions=3)
    examples = make_examples(photos, landmarks, LastStage(), options)
    assert len(examples) == 3 * len(photos)
    assert examples.skipped == 0
    assert (examples.kind == "none").sum() == len(photos)
    assert np.isnan(examples.severity[examples.kind == "none"]).all()
    clean = examples.residual[torch.from_numpy(examples.kind == "none")]
    assert 0.001 < clean.abs().median() < 0.03
    assert examples.residual.abs().median() < 0.05
    still = make_examples(photos, landmarks, LastStage(), replace(options, versions=1, shift=0.0, scale=1.0))
    assert still.residual.abs().median() < clean.abs().median()
    again = make_examples(photos, landmarks, LastStage(), options)
    torch.testing.assert_close(again.residual, examples.residual)
    other = make_examples(photos, landmarks, LastStage(), replace(options, seed=1))
    assert not torch.allclose(other.residual, examples.residual)


def test_examples_are_made_once(
    some: tuple[PhotoSet, Landmarks], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos, landmarks = some
    stage, options = LastStage(), VersionOptions(versions=2)
    made = make_examples(photos, landmarks, stage, options)
    calls: list[int] = []
    monkeypatch.setattr("faceunc.detection.example_cache.make_examples", lambda *_: calls.append(1) or made)
    for expected in (1, 1):
        found = cached_examples(photos, landmarks, "d", stage, options, tmp_path)
        assert len(calls) == expected
        assert (found.kind.tolist(), found.skipped) == (made.kind.tolist(), made.skipped)
        torch.testing.assert_close([found.features, found.residual], [made.features, made.residual])
        np.testing.assert_array_equal(found.severity, made.severity)
    cached_examples(photos, landmarks, "d", stage, replace(options, seed=1), tmp_path)
    cached_examples(photos, landmarks, "other", stage, options, tmp_path)
    assert len(calls) == 3
    for path in (tmp_path / "detector-examples").iterdir():
        path.write_bytes(path.read_bytes()[:500])
    cached_examples(photos, landmarks, "d", stage, options, tmp_path)
    assert len(calls) == 4


def test_photographs_without_a_face_are_left_out(some: tuple[PhotoSet, Landmarks]) -> None:
    photos, landmarks = some
    state = landmarks.state.copy()
    state[:3] = 1
    examples = make_examples(photos, replace(landmarks, state=state), LastStage(), VersionOptions(versions=2))
    assert examples.skipped == 3
    assert examples.photo.min() == 3
    with pytest.raises(InputError, match="found none in"):
        make_examples(photos, replace(landmarks, state=np.ones_like(state)), LastStage())


def test_wrong_versions() -> None:
    for wrong in ({"versions": 0}, {"shift": 0.2}, {"scale": 0.9}):
        with pytest.raises(InputError, match="versions must be"):
            VersionOptions(**wrong)  # type: ignore[arg-type]


def test_voting_bench_on_lfw(some: tuple[PhotoSet, Landmarks]) -> None:
    photos, landmarks = some
    examples = make_examples(photos, landmarks, LastStage(), VersionOptions(versions=3))
    fit = fit_branch(examples, photos.identities, photos.identities, options=BranchOptions(steps=100, batch=64))
    rows = measure_voting(
        photos, landmarks, [fit.branch] * 2, np.zeros(len(photos), int), VersionOptions(versions=2), crops=4
    )
    report = voting_report(rows, photos.identities)
    assert list(report) == list(SOURCES)
    for found in report.values():
        assert found["images"] > len(photos)
        assert found["share with several"] > 0.5
        assert all(0 < found["landmark error"][name] < 0.2 for name in METHODS)
    json.dumps(report)


def test_from_a_folder_to_a_file(tmp_path: Path, lfw: Path) -> None:
    for name in ("Aaron_Eckhart", "Zico", "Tony_Blair", "Adriana_Lima", "AJ_Cook", "George_W_Bush"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for photo in sorted((lfw / name).glob("*.jpg"))[:3]:
            shutil.copy(photo, folder)
    out = tmp_path / "mine.safetensors"
    request = DetectorSigmaRequest(tmp_path / "data", out, options=BranchOptions(steps=60, batch=32, check_every=20))
    summary = train_detector_sigma(request)
    assert "coverage of intervals on held-out people, landmarks: 50%" in summary.text()
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["sha256"] == load_branch(out).sha256
    assert len(card["identity_hashes"]) == 6
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        train_detector_sigma(replace(request, out=tmp_path / "mine.pt"))
