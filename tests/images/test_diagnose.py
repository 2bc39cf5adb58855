"""The diagnosis: the shipped table, the words, and real faces with known flaws."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from faceunc.images.align import centre_landmarks
from faceunc.images.degrade import Degradation, degrade
from faceunc.images.diagnose import FLAWS, NAMED, describe, diagnose, likelihoods, reference
from faceunc.images.diagnose_fit import CAUSES, Faces, Sample, fit_likelihood, fit_reference
from faceunc.images.measures import STANDARD_SIDE, STANDARD_TEMPLATE, Measures, measure_chip, measure_face
from faceunc.images.read import read_image

USUAL = Measures(
    face_size=108, blur=0.54, brightness=130, contrast=1.1, clipped=0, noise=0.6, blockiness=1.2, flat=0.002, outside=0,
    asymmetry=0.6, yaw=0.02, pitch=0.54, roll=1,
)  # fmt: skip


def test_the_table_is_whole() -> None:
    assert list(reference()["kinds"]) == list(FLAWS)
    for name, table in reference()["kinds"].items():
        at, likelihood = np.array(table["at"]), np.array(table["likelihood"])
        assert len(at) == len(likelihood) <= 27
        assert (np.diff(at) >= 0).all()
        steps = np.diff(likelihood)
        assert (steps >= 0).all() if FLAWS[name].rising else (steps <= 0).all()
        assert likelihood.min() >= 0
        assert likelihood.max() <= 1
        assert likelihood.max() > NAMED, f"{name} can never be named"
        low, high = table["usual"]
        assert low < high or name == "cut"


def test_nothing_conspicuous() -> None:
    assert diagnose(USUAL) == []
    assert describe([]) == "nothing conspicuous"
    assert diagnose(Measures()) == []
    assert all(math.isnan(value) for value in likelihoods(Measures()).values())


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("blurred", {"blur": 0.9}),
        ("small", {"face_size": 14}),
        ("dark", {"brightness": 20}),
        ("bright", {"brightness": 230}),
        ("flat", {"contrast": 0.2}),
        ("noisy", {"noise": 50}),
        ("compressed", {"blockiness": 3}),
        ("turned", {"yaw": -0.6}),
        ("tilted", {"roll": -70}),
        ("occluded", {"flat": 0.4}),
        ("cut", {"outside": 0.4}),
    ],
)
def test_each_flaw_is_named(kind: str, change: dict[str, float]) -> None:
    (flaw,) = diagnose(Measures(**{**vars(USUAL), **change}))
    assert flaw.kind == kind
    assert flaw.value == next(iter(change.values()))
    assert flaw.likelihood >= NAMED
    assert f"ly {kind} (" in flaw.sentence
    assert "usual" in flaw.sentence


def test_words_follow_the_likelihood_and_order_too() -> None:
    table = reference()["kinds"]["blurred"]
    seen = set()
    for blur in np.linspace(table["at"][0], table["at"][-1], 200):
        for flaw in diagnose(Measures(blur=float(blur))):
            word = flaw.sentence.split(" blurred")[0]
            expected = (
                "very probably" if flaw.likelihood >= 0.9 else "probably" if flaw.likelihood >= 0.75 else "possibly"
            )
            assert word == expected
            seen.add(word)
    assert seen == {"very probably", "probably", "possibly"}
    flaws = diagnose(Measures(blur=0.9, brightness=30, noise=60, yaw=0.3))
    assert [flaw.likelihood for flaw in flaws] == sorted((flaw.likelihood for flaw in flaws), reverse=True)
    assert describe(flaws).count("; ") == len(flaws) - 1


def test_limit() -> None:
    every = diagnose(USUAL, limit=0.0)
    assert {flaw.kind for flaw in every} == set(FLAWS)
    assert all(flaw.sentence.startswith("hardly") for flaw in every)
    assert {flaw.kind: flaw.likelihood for flaw in every} == likelihoods(USUAL)


def test_fit_finds_a_known_probability() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 1, 20_000)
    table = fit_likelihood(x, rng.uniform(size=len(x)) < x**2)
    for value in (0.2, 0.5, 0.8):
        assert np.interp(value, table["at"], table["likelihood"]) == pytest.approx(value**2, abs=0.06)
    assert table["at half"] == pytest.approx(0.5**0.5, abs=0.03)
    falling = fit_likelihood(x, rng.uniform(size=len(x)) < 1 - x, rising=False)
    assert falling["at half"] == pytest.approx(0.5, abs=0.03)


def test_clean_and_degraded_weigh_half_each() -> None:
    """All values alike: the likelihood is the share of flawed faces, with half of the weight on clean ones."""
    same = [Sample("none", 0.0, USUAL)] * 10
    same += [
        Sample(cause, severity, USUAL) for causes in CAUSES.values() for cause in causes for severity in (0.1, 0.9)
    ]
    faces = Faces(
        same, (np.array([10.0, 50, 100]), np.array([0.9, 0.6, 0.5])), (np.array([0.0, 90]), np.array([0, 1]) > 0)
    )
    kinds = fit_reference(faces)["kinds"]
    causes = sum(len(found) for found in CAUSES.values())
    assert kinds["noisy"]["likelihood"] == pytest.approx([0.5 * 0.5 / causes], abs=1e-4)
    assert kinds["blurred"]["likelihood"] == pytest.approx([3 * 0.5 * 0.5 / causes], abs=1e-4)


def test_real_faces(lfw: Path) -> None:
    people = sorted(path for path in lfw.iterdir() if path.is_dir())[::290]
    photos = [read_image(next(iter(sorted(person.glob("*.jpg"))))) for person in people]
    points = centre_landmarks(250, 250)
    clean = [diagnose(measure_face(photo, points, 108)) for photo in photos]
    assert np.mean([not flaws for flaws in clean]) >= 0.7
    from faceunc.images.align import align_face

    chips = [align_face(photo, points, STANDARD_TEMPLATE, STANDARD_SIDE) for photo in photos]
    for cause, kind in {"blur": "blurred", "noise": "noisy", "jpeg": "compressed", "occlusion": "occluded"}.items():
        found = [diagnose(measure_chip(degrade(chip, Degradation(cause, 0.9, n)))) for n, chip in enumerate(chips)]
        assert np.mean([kind in [flaw.kind for flaw in flaws[:2]] for flaws in found]) >= 0.9, cause
