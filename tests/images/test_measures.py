"""Simple measurements of a face: laws, known answers, and what degradations do to a real face."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import convolve2d
from skimage.measure import label, regionprops

from faceunc.backbones.registry import load_backbone
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.degrade import Degradation, degrade
from faceunc.images.measures import (
    STANDARD_SIDE,
    STANDARD_TEMPLATE,
    Measures,
    measure_chip,
    measure_face,
    pose,
)
from faceunc.images.read import read_image
from faceunc.images.texture import blockiness, blur_effect, flat_share, noise_level

FRONTAL = np.array([[30, 40], [70, 40], [50, 62], [35, 80], [65, 80]], np.float64)


@pytest.fixture(scope="module")
def photo(lfw: Path) -> NDArray[np.uint8]:
    return read_image(lfw / "Aaron_Peirsol" / "Aaron_Peirsol_0001.jpg")


@pytest.fixture(scope="module")
def chip(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return align_face(photo, centre_landmarks(250, 250), STANDARD_TEMPLATE, STANDARD_SIDE)


def test_the_standard_chip_is_that_of_dlibs_backbone() -> None:
    spec = load_backbone("dlib", "float32").spec
    assert spec.template == STANDARD_TEMPLATE
    assert spec.input_size == STANDARD_SIDE


@pytest.mark.parametrize(
    ("kind", "name", "sign"),
    [
        ("blur", "blur", 1),
        ("motion", "blur", 1),
        ("downsample", "blur", 1),
        ("noise", "noise", 1),
        ("jpeg", "blockiness", 1),
        ("contrast", "contrast", -1),
        ("occlusion", "flat", 1),
    ],
)
def test_a_degradation_moves_its_measure_with_its_severity(
    chip: NDArray[np.uint8], kind: str, name: str, sign: int
) -> None:
    values = [getattr(measure_chip(degrade(chip, Degradation(kind, s, 3))), name) for s in (0.2, 0.5, 0.9)]
    clean = getattr(measure_chip(chip), name)
    assert sign * values[0] >= sign * clean
    assert sign * values[0] < sign * values[1] < sign * values[2]


def test_darker_and_brighter_leave_blur_and_contrast(chip: NDArray[np.uint8]) -> None:
    before = measure_chip(chip)
    for seed in range(4):
        after = measure_chip(degrade(chip, Degradation("brightness", 0.5, seed)))
        assert abs(after.brightness - before.brightness) > 40
        assert after.blur == pytest.approx(before.blur, abs=0.02)
        assert after.flat == pytest.approx(before.flat, abs=0.02)
    assert measure_chip(np.full_like(chip, 255)).clipped == 1


def test_photograph_and_chip_agree(photo: NDArray[np.uint8], chip: NDArray[np.uint8]) -> None:
    of_photo, of_chip = measure_face(photo, centre_landmarks(250, 250), 108), measure_chip(chip)
    for name in ("blur", "brightness", "contrast", "clipped", "flat", "asymmetry"):
        assert getattr(of_photo, name) == getattr(of_chip, name)
    assert of_photo.face_size == 108
    assert math.isnan(of_chip.face_size)
    assert math.isnan(of_chip.yaw)
    assert math.isnan(of_chip.outside)


def test_a_larger_print_of_the_same_photograph_measures_alike(photo: NDArray[np.uint8]) -> None:
    large = np.asarray(cv2.resize(photo, (1000, 1000), interpolation=cv2.INTER_CUBIC), np.uint8)
    one, other = (measure_face(p, centre_landmarks(*p.shape[:2])) for p in (photo, large))
    for name, tolerance in {"blur": 0.05, "brightness": 2, "contrast": 0.1, "yaw": 1e-3, "pitch": 1e-3}.items():
        assert getattr(other, name) == pytest.approx(getattr(one, name), abs=tolerance)


def test_noise_level_of_known_noise() -> None:
    rng = np.random.default_rng(0)
    for level in (3.0, 10.0, 25.0):
        ramp = np.tile(np.linspace(80, 170, 200), (200, 1))
        noisy = np.clip(np.rint(ramp + level * rng.standard_normal((200, 200))), 0, 255).astype(np.uint8)
        assert noise_level(noisy) == pytest.approx(level, rel=0.05)
    assert noise_level(np.tile(np.arange(0, 200, dtype=np.uint8), (200, 1))) == 0


@pytest.mark.parametrize("shift", [0, 3, 7])
def test_blockiness_finds_the_grid_wherever_it_lies(shift: int) -> None:
    rng = np.random.default_rng(1)
    blocks = np.kron(rng.integers(90, 160, (20, 20)), np.ones((8, 8))) + rng.normal(0, 2, (160, 160))
    grey = np.clip(np.roll(blocks, shift, (0, 1)), 0, 255).astype(np.uint8)
    assert blockiness(grey) > 4
    assert blockiness(rng.integers(0, 256, (160, 160)).astype(np.uint8)) < 1.2
    assert math.isnan(blockiness(grey[:63]))


def test_one_edge_is_no_grid() -> None:
    grey = np.random.default_rng(2).integers(100, 110, (160, 160)).astype(np.uint8)
    grey[:, 80:] += 120
    assert blockiness(grey) < 1.2


def test_flat_share_is_the_share_of_the_patch() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (132, 104)).astype(np.uint8)
    assert flat_share(grey) == 0
    grey[66:] = 128
    assert flat_share(grey) == pytest.approx(0.5, abs=0.06)


def test_pose_of_turned_points() -> None:
    yaw, pitch, roll = pose(FRONTAL)
    assert (yaw, roll) == (0, 0)
    assert pitch == pytest.approx(22 / 40)
    right = FRONTAL.copy()
    right[2, 0] += 10
    assert pose(right)[0] == pytest.approx(10 / 40)
    mirrored = (right * [-1, 1] + [100, 0])[[1, 0, 2, 4, 3]]
    assert pose(mirrored)[0] == pytest.approx(-10 / 40)
    turn = np.radians(30)  # clockwise as seen: y points down
    turned = right @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert pose(turned) == pytest.approx((10 / 40, 22 / 40, 30))
    assert pose(3 * right + 17) == pytest.approx((10 / 40, 22 / 40, 0))
    assert all(math.isnan(value) for value in pose(np.zeros((5, 2))))


def test_share_outside(photo: NDArray[np.uint8]) -> None:
    points = centre_landmarks(250, 250)
    assert measure_face(photo, points).outside == 0
    middle = round(float(points[:, 0].mean()))
    assert measure_face(photo[:, middle:].copy(), points - [middle, 0]).outside == pytest.approx(0.5, abs=0.04)
    assert measure_face(photo[:, :middle].copy(), points).outside == pytest.approx(0.5, abs=0.04)


def test_extreme_images(photo: NDArray[np.uint8]) -> None:
    grey = measure_chip(np.full((40, 40, 3), 7, np.uint8))
    assert math.isnan(grey.blur)
    assert (grey.contrast, grey.noise) == (0, 0)
    far = measure_face(photo, centre_landmarks(250, 250) + 1000)
    assert far.outside == 1
    assert math.isnan(far.blockiness)
    assert measure_chip(photo[:31, :31].copy()).brightness > 0
    assert all(math.isnan(getattr(Measures(), field.name)) for field in fields(Measures))


@pytest.mark.parametrize("shape", [(132, 104), (40, 61), (7, 5), (4, 30)])
def test_blur_is_that_of_scikit_image(shape: tuple[int, int], chip: NDArray[np.uint8]) -> None:
    from skimage import measure

    grey = np.ascontiguousarray(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)[: shape[0], : shape[1]])
    stripes = np.tile(np.arange(shape[1], dtype=np.uint8) % 3 * 40, (shape[0], 1))  # nothing changes down a column
    edge = np.repeat(np.where(np.arange(shape[1]) < shape[1] // 2, 0, 255).astype(np.uint8)[None], shape[0], axis=0)
    black_or_white = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), shape)
    for pixels in (grey, grey // 60 * 60, stripes, edge, black_or_white):  # the last two reach the 16 bits' largest
        assert blur_effect(pixels) == pytest.approx(measure.blur_effect(pixels), abs=1e-9)


def test_measures_of_the_chip_by_their_plain_formulas(chip: NDArray[np.uint8]) -> None:
    grey = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY)
    face = grey[10:142, 23:127]
    low, high = np.percentile(face, [5, 95])
    found = measure_chip(chip)
    assert found.brightness == pytest.approx(face.mean(), rel=1e-12)
    assert found.contrast == pytest.approx((high - low) / min(face.mean(), 255 - face.mean()), rel=1e-12)
    assert found.clipped == np.mean((face <= 2) | (face >= 253))
    ratios = []
    for pixels in (grey.astype(float), grey.T.astype(float)):
        step = np.abs(np.diff(pixels, axis=1)).mean(axis=0)
        phases = [np.median(step[phase::8]) for phase in range(8)]
        ratios.append(max(phases) / np.median(phases))
    assert found.blockiness == pytest.approx(np.mean(ratios), rel=1e-6)


def test_a_given_chip_saves_the_alignment(photo: NDArray[np.uint8], chip: NDArray[np.uint8]) -> None:
    points = centre_landmarks(250, 250)
    assert measure_face(photo, points, 90, chip) == measure_face(photo, points, 90)


def _ellipse(height: int, width: int) -> NDArray[np.uint8]:
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 1, -1)
    return mask


@pytest.mark.parametrize("shape", [(132, 104), (131, 105), (40, 30), (5, 4)])
def test_flat_share_by_scikit_image(shape: tuple[int, int], chip: NDArray[np.uint8]) -> None:
    """Another implementation of labels, areas and median, on faces with a patch of paint."""
    grey = cv2.resize(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), shape[::-1], interpolation=cv2.INTER_AREA)
    for painted in (False, True):
        if painted:
            grey[shape[0] // 3 : shape[0] // 2, shape[1] // 3 :] = 90
        inside = _ellipse(*shape).astype(bool)
        smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5)
        change = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        patches = label((change <= 0.1 * np.median(change[inside])) & inside, connectivity=1)
        most = max((region.area for region in regionprops(patches)), default=0)
        assert flat_share(grey) == most / inside.sum()


@pytest.mark.parametrize("shape", [(64, 64), (65, 71), (150, 150), (97, 203)])
def test_blockiness_by_plain_medians(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    wide = grey.astype(np.float64)
    ratios = []
    for axis in (1, 0):
        step = np.abs(np.diff(wide, axis=axis)).mean(axis=1 - axis)
        phases = np.sort([np.median(step[place::8]) for place in range(8)])
        ratios.append(phases[-1] / max((phases[3] + phases[4]) / 2, 0.1))
    assert blockiness(grey) == pytest.approx(np.mean(ratios), rel=1e-6)


def test_noise_level_by_plain_convolution() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (61, 83)).astype(np.uint8)
    response = convolve2d(grey.astype(np.float64), [[1, -2, 1], [-2, 4, -2], [1, -2, 1]], mode="valid")
    assert noise_level(grey) == pytest.approx(np.abs(response).mean() * math.sqrt(math.pi / 2) / 6, rel=1e-12)
