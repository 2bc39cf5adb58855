"""What a severity is said to be is what the degradation does."""

from __future__ import annotations

import argparse
import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.cli.main import build_parser
from faceunc.images.degrade import KINDS, Degradation, degrade
from faceunc.sweep.degradation_chips import KindView
from faceunc.sweep.degradation_kinds import DEFAULT_KINDS, DESCRIBED, SEVERITIES, amount

LEVELS = (0.2, 0.6, 1.0)


@pytest.fixture(scope="module")
def chip() -> NDArray[np.uint8]:
    """Smooth and mid-grey, so that nothing is clipped."""
    y, x = np.mgrid[:150, :150] / 150.0
    return np.stack([110 + 30 * y, 120 + 20 * x, 128 + 10 * x * y], axis=-1).astype(np.uint8)


def degraded(chip: NDArray[np.uint8], kind: str, severity: float) -> NDArray[np.float64]:
    return degrade(chip, Degradation(kind, severity, 5)).astype(np.float64)


def test_every_kind_is_described() -> None:
    assert set(DESCRIBED) == set(KINDS)
    assert set(DEFAULT_KINDS) == set(KINDS) - {"combined"}


def test_severity_0_is_clean() -> None:
    assert {amount(kind, 0.0) for kind in KINDS} == {"clean"} == {amount("none", 0.5)}
    for kind in KINDS:
        assert KindView(kind=kind, severity=0.0).degradation("a/b.jpg").kind == "none"


@pytest.mark.parametrize("severity", LEVELS)
def test_blur(severity: float, chip: NDArray[np.uint8]) -> None:
    """The response to a point has that standard deviation."""
    point = np.zeros((150, 150, 3), np.uint8)
    point[75, 75] = 255
    spread = cv2.GaussianBlur(point, (0, 0), float(amount("blur", severity)), borderType=cv2.BORDER_REFLECT_101)
    np.testing.assert_array_equal(degraded(point, "blur", severity), spread)


@pytest.mark.parametrize("severity", LEVELS)
def test_motion(severity: float) -> None:
    """A point becomes a line of that length."""
    point = np.zeros((151, 151, 3), np.uint8)
    point[70:81, 70:81] = 255  # a square of 11, so that rounding to grey levels does not hide the ends
    rows, columns = np.nonzero(degraded(point, "motion", severity)[..., 0] > 0)
    length = max(np.hypot(rows - 75, columns - 75)) * 2
    wanted = float(amount("motion", severity))
    assert wanted <= length <= wanted + 2 * np.hypot(6, 6) + 2


@pytest.mark.parametrize("severity", LEVELS)
def test_downsample(severity: float) -> None:
    """Stripes finer than the smaller chip can hold are gone, coarser ones stay."""
    side = int(amount("downsample", severity))
    contrast = []
    for stripes in (side, side // 4):  # black-white periods across the chip
        wave = 127.5 + 127.5 * np.sin(2 * np.pi * stripes * (np.arange(600) + 0.5) / 600)
        image = np.repeat(np.tile(wave, (600, 1))[..., None], 3, axis=2).astype(np.uint8)
        contrast.append(degraded(image, "downsample", severity)[300, 100:500].std())
    assert contrast[0] < 5 < 40 < contrast[1]


@pytest.mark.parametrize("severity", LEVELS)
def test_noise(severity: float) -> None:
    grey = np.full((150, 150, 3), 128, np.uint8)
    wanted = float(amount("noise", severity))
    clipped = np.clip(np.random.default_rng(0).normal(128, wanted, 100_000), 0, 255)
    assert degraded(grey, "noise", severity).std() == pytest.approx(clipped.std(), rel=0.02)


@pytest.mark.parametrize("severity", LEVELS)
def test_jpeg(severity: float, astronaut: NDArray[np.uint8]) -> None:
    face = np.ascontiguousarray(astronaut[30:180, 150:300])
    quality = int(amount("jpeg", severity))
    _, data = cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    expected = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[:, :, ::-1]
    np.testing.assert_array_equal(degraded(face, "jpeg", severity), expected)


@pytest.mark.parametrize("severity", LEVELS)
def test_occlusion(severity: float, chip: NDArray[np.uint8]) -> None:
    changed = (degraded(chip, "occlusion", severity) != chip).any(axis=2)
    side = np.sqrt(changed.sum()) / 150 * 100
    assert side == pytest.approx(float(amount("occlusion", severity)), abs=1.0)


@pytest.mark.parametrize("severity", LEVELS)
def test_light(severity: float, chip: NDArray[np.uint8]) -> None:
    out = degraded(chip, "brightness", severity)
    end = 0.0 if out.mean() < chip.mean() else 255.0
    nearer = 1 - np.abs(out - end).mean() / np.abs(chip - end).mean()
    assert 100 * nearer == pytest.approx(float(amount("brightness", severity)), abs=2)
    lost = 1 - degraded(chip, "contrast", severity).std(axis=(0, 1)).mean() / chip.std(axis=(0, 1)).mean()
    assert 100 * lost == pytest.approx(float(amount("contrast", severity)), abs=4)


def test_views_are_named_apart_and_repeat(chip: NDArray[np.uint8]) -> None:
    views = [KindView(kind=k, severity=s, seed=n) for k in KINDS for s in SEVERITIES[1:] for n in (1, 2)]
    assert len({view.name for view in views}) == len(set(views)) == len(views)
    for view in views:
        np.testing.assert_array_equal(view.apply(chip, "a/1.jpg"), view.apply(chip, "a/1.jpg"))
    noisy = KindView(kind="noise", severity=0.4, seed=1)
    assert (noisy.apply(chip, "a/1.jpg") != noisy.apply(chip, "a/2.jpg")).any()
    assert (noisy.apply(chip, "a/1.jpg") != KindView(kind="noise", severity=0.4, seed=2).apply(chip, "a/1.jpg")).any()


def test_an_image_keeps_its_place_from_severity_to_severity(chip: NDArray[np.uint8]) -> None:
    """Squares of one colour, one inside the other or nearly so."""
    small, large = ((KindView(kind="occlusion", severity=s, seed=3).apply(chip, "a/1.jpg"), chip) for s in (0.5, 1.0))
    colours = [np.unique(out[(out != clean).any(axis=2)], axis=0) for out, clean in (small, large)]
    np.testing.assert_array_equal(*colours)


def test_the_command_offers_them_without_loading_numpy() -> None:
    code = "import sys; import faceunc.sweep.degradation_kinds; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    (commands,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    (sweeps,) = (a for a in commands.choices["sweep"]._actions if isinstance(a, argparse._SubParsersAction))
    (kinds,) = (a for a in sweeps.choices["degradation"]._actions if a.dest == "kinds")
    assert set(kinds.choices or ()) == set(KINDS)
