"""Laws of every degradation, and the shares of the standard mix."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.images.align import align_face
from faceunc.images.degrade import (
    CLEAN,
    KINDS,
    MIX_KINDS,
    MIX_SHARES,
    Degradation,
    degrade,
    draw_degradation,
    image_seed,
)


@pytest.fixture(scope="module")
def chip(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    from faceunc.backbones.dlib_resnet import SPEC
    from faceunc.backbones.precision import ASTRONAUT_POINTS

    chip = align_face(astronaut, ASTRONAUT_POINTS, SPEC.template, SPEC.input_size)
    chip.flags.writeable = False
    return chip


def error(chip: NDArray[np.uint8], degradation: Degradation) -> float:
    return float(((degrade(chip, degradation).astype(np.float64) - chip) ** 2).mean())


@pytest.mark.parametrize("severity", [0.0, 0.37, 1.0])
@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_deterministic_and_pure(kind: str, severity: float, chip: NDArray[np.uint8]) -> None:
    before = chip.copy()
    first, second = (degrade(chip, Degradation(kind, severity, 5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(chip, before)
    assert first.shape == chip.shape
    assert first.dtype == np.uint8
    assert not np.shares_memory(first, chip)
    assert first.flags.writeable


@pytest.mark.parametrize("shape", [(8, 8, 3), (40, 23, 3), (112, 160, 3)])
@pytest.mark.parametrize("severity", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_other_shapes(kind: str, severity: float, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert degrade(image, Degradation(kind, severity, 1)).shape == shape


@pytest.mark.parametrize("kind", KINDS)
def test_error_grows_with_severity(kind: str, chip: NDArray[np.uint8]) -> None:
    errors = [np.mean([error(chip, Degradation(kind, s, seed)) for seed in range(12)]) for s in np.linspace(0, 1, 5)]
    assert (np.diff(errors) > 0).all(), errors


@pytest.mark.parametrize("kind", ["noise", "motion", "occlusion", "brightness", "combined"])
def test_seed_matters(kind: str, chip: NDArray[np.uint8]) -> None:
    pictures = {degrade(chip, Degradation(kind, 0.7, seed)).tobytes() for seed in range(8)}
    assert len(pictures) > 1


def test_clean_is_an_equal_copy(chip: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(degrade(chip, CLEAN), chip)


def test_noise_has_the_stated_deviation() -> None:
    grey = np.full((150, 150, 3), 128, np.uint8)
    for severity, deviation in ((0.0, 5.0), (0.2, 20.0)):
        assert degrade(grey, Degradation("noise", severity)).std() == pytest.approx(deviation, rel=0.02)


def test_occlusion_covers_the_stated_square() -> None:
    black = np.zeros((100, 100, 3), np.uint8)
    covered = (degrade(black, Degradation("occlusion", 1.0, 3)) != 0).any(axis=2)
    assert covered.sum() == 60 * 60


def test_contrast_and_brightness_shrink_as_stated(chip: NDArray[np.uint8]) -> None:
    flat = degrade(chip, Degradation("contrast", 1.0))
    assert flat.std(axis=(0, 1)) == pytest.approx(0.05 * chip.std(axis=(0, 1)), abs=0.35)
    assert flat.mean(axis=(0, 1)) == pytest.approx(chip.mean(axis=(0, 1)), abs=0.5)
    ends = {round(float(degrade(chip, Degradation("brightness", 1.0, seed)).mean()) // 128) for seed in range(8)}
    assert ends == {0, 1}


@pytest.mark.parametrize(("kind", "severity"), [("fog", 0.5), ("blur", -0.1), ("blur", 1.1), ("blur", float("nan"))])
def test_refused(kind: str, severity: float) -> None:
    with pytest.raises(ValueError, match="Got"):
        Degradation(kind, severity)


def test_mix_has_the_stated_shares() -> None:
    drawn = [draw_degradation(0, f"Name/{i:05d}.jpg") for i in range(6000)]
    counts = Counter(d.kind for d in drawn)
    assert sum(MIX_SHARES) == pytest.approx(1.0)
    for kind, share in zip(MIX_KINDS, MIX_SHARES, strict=True):
        assert counts[kind] / len(drawn) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(drawn)))
    severity = np.array([d.severity for d in drawn])
    shares, _ = np.histogram(severity, 10, (0, 1))
    assert np.abs(shares / len(drawn) - 0.1).max() < 0.016
    assert len({d.seed for d in drawn}) == len(drawn)


def test_occlusion_share_of_the_combined_kind() -> None:
    """A flat grey chip stays flat under blur, noise and JPEG but not under a square of random colour."""
    grey = np.full((100, 100, 3), 128, np.uint8)
    count = 400
    pictures = [degrade(grey, Degradation("combined", 1.0, seed)).astype(np.float64) for seed in range(count)]
    covered = sum(bool(np.abs(p.mean(axis=(0, 1)) - 128).max() > 2.0) for p in pictures)
    assert covered / count == pytest.approx(0.30, abs=0.08)


def test_mix_depends_on_seed_and_name_alone() -> None:
    assert draw_degradation(1, "a") == draw_degradation(1, "a")
    assert len({draw_degradation(seed, name) for seed in range(5) for name in "abcde"}) == 25
    assert 0 <= image_seed(7, "a") < 2**63


def test_name_that_is_not_unicode() -> None:
    assert image_seed(0, "\udcff.jpg") != image_seed(0, "\udcfe.jpg")
