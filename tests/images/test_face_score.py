"""The last stage alone against the whole MTCNN on photographs of LFW."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.images.detect import Detection, FaceDetector
from faceunc.images.face_score import FOUND, FaceScorer, face_squares, square_patch
from faceunc.images.read import read_image

Image = NDArray[np.uint8]
Points = NDArray[np.float32]
OTHERS = ("Zico", "Aaron_Eckhart", "Tony_Blair", "Adriana_Lima")


@pytest.fixture(scope="module")
def scorer() -> FaceScorer:
    return FaceScorer()


@pytest.fixture(scope="module")
def images(bush: list[Path], lfw: Path) -> list[Image]:
    """Twelve photographs of five people."""
    return [read_image(path) for path in [*bush[:8], *(lfw / name / f"{name}_0001.jpg" for name in OTHERS)]]


@pytest.fixture(scope="module")
def detections(images: list[Image]) -> list[Detection]:
    """What the whole detector finds on them."""
    found = [detection for detection in FaceDetector("central")(images) if detection is not None]
    assert len(found) == len(images)
    return found


@pytest.fixture(scope="module")
def points(detections: list[Detection]) -> Points:
    return np.stack([detection.landmarks for detection in detections])


def distances(a: Points, b: Points) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(a.astype(np.float64) - b, axis=2))


def test_agrees_with_the_detector(scorer: FaceScorer, images: list[Image], points: Points) -> None:
    score, found = scorer(images, points)
    assert (score.shape, found.shape) == ((12,), (12, 5, 2))
    assert score.dtype == found.dtype == np.float32
    assert (score > 0.95).all()
    assert np.median(distances(found, points)) < 3
    assert distances(found, points).max() < 15


def test_a_rough_guess_is_enough(scorer: FaceScorer, images: list[Image], points: Points) -> None:
    """Points that are off by 6 pixels and 10 percent: those that come back lie nearer to the detector's."""
    centre = points.mean(axis=1, keepdims=True)
    guess = (points - centre) * np.float32(1.1) + centre + np.array([6, 0], np.float32)
    score, found = scorer(images, guess)
    assert (score > FOUND).all()
    assert np.median(distances(found, points)) < 5 < np.median(distances(guess, points))


def test_the_square_is_the_detectors(detections: list[Detection], points: Points) -> None:
    """MTCNN makes boxes square by their longer side before its last stage."""
    corner, side = face_squares(points)
    size = np.array([np.max(detection.box[2:] - detection.box[:2]) for detection in detections])
    centre = np.stack([(detection.box[:2] + detection.box[2:]) / 2 for detection in detections])
    assert np.median(np.abs(side / size - 1)) < 0.1
    assert np.median(np.linalg.norm(corner + side[:, None] / 2 - centre, axis=1) / size) < 0.1


def test_a_covered_face_is_none(
    scorer: FaceScorer, images: list[Image], detections: list[Detection], points: Points
) -> None:
    covered = [image.copy() for image in images]
    for image, detection in zip(covered, detections, strict=True):
        x1, y1, x2, y2 = np.maximum(0, np.round(detection.box)).astype(int)
        image[y1:y2, x1:x2] = 128
    before = [image.copy() for image in covered]
    score, found = scorer(covered, points)
    assert (score < FOUND).all()
    assert np.isfinite(found).all()
    for image, old in zip(covered, before, strict=True):
        np.testing.assert_array_equal(image, old)


def test_background_is_no_face(scorer: FaceScorer, images: list[Image], points: Points) -> None:
    """The upper left corner of the photographs."""
    score, _ = scorer(images, points * np.float32(0.4))
    assert (score < FOUND).all()


@pytest.mark.parametrize("cut", ["left", "top", "right", "bottom"])
def test_a_face_at_the_border(
    scorer: FaceScorer, images: list[Image], detections: list[Detection], points: Points, cut: str
) -> None:
    """A twelfth of the face lies outside the photograph: found all the same, at the same place."""
    image, box = images[0], detections[0].box
    x1, y1, x2, y2 = np.round(box + (box[2] - box[0]) / 12 * np.array([1, 1, -1, -1])).astype(int)
    part, shift = {
        "left": (image[:, x1:], (x1, 0)),
        "top": (image[y1:], (0, y1)),
        "right": (image[:, :x2], (0, 0)),
        "bottom": (image[:y2], (0, 0)),
    }[cut]
    score, found = scorer([part], points[:1] - np.array(shift, np.float32))
    assert score[0] > FOUND
    assert np.median(distances(found + np.array(shift, np.float32), points[:1])) < 5


@pytest.mark.parametrize("shift", [(-100, 0), (0, 100), (-130, -130), (300, 0), (-1000, 1000), (1e6, 1e6)])
def test_points_over_the_border_and_outside(
    scorer: FaceScorer, images: list[Image], points: Points, shift: tuple[float, float]
) -> None:
    score, found = scorer(images[:2], points[:2] + np.array(shift, np.float32))
    assert (score < FOUND).all()
    assert np.isfinite(found).all()


def test_coinciding_points(scorer: FaceScorer, images: list[Image]) -> None:
    """A square of one pixel."""
    score, found = scorer(images[:1], np.full((1, 5, 2), 100, np.float32))
    assert score[0] < FOUND
    assert np.isfinite(found).all()


def test_nothing(scorer: FaceScorer) -> None:
    score, found = scorer([], np.empty((0, 5, 2), np.float32))
    assert (score.shape, found.shape) == ((0,), (0, 5, 2))


def test_images_of_different_sizes_one_by_one(scorer: FaceScorer, images: list[Image], points: Points) -> None:
    mixed = [images[0], images[1][:, 20:], images[2][10:]]
    places = points[:3] - np.array([[[0, 0]], [[20, 0]], [[0, 10]]], np.float32)
    together, found = scorer(mixed, places)
    for row in range(3):
        alone, own = scorer(mixed[row : row + 1], places[row : row + 1])
        assert alone[0] == pytest.approx(together[row], abs=1e-4)
        np.testing.assert_allclose(own[0], found[row], atol=0.01)


def test_squares_move_and_grow_with_their_points(points: Points) -> None:
    corner, side = face_squares(points)
    assert (corner.shape, side.shape) == ((12, 2), (12,))
    shift = np.array([13.5, -200.0])
    moved, same = face_squares(points + shift)
    np.testing.assert_allclose(moved, corner + shift)
    np.testing.assert_allclose(same, side)
    grown, sides = face_squares(points.astype(np.float64) * 2.5)
    np.testing.assert_allclose(grown, corner * 2.5)
    np.testing.assert_allclose(sides, side * 2.5)
    centre = corner + side[:, None] / 2
    assert ((points > corner[:, None]) & (points < (corner + side[:, None])[:, None])).all()
    assert (np.abs(centre - points.mean(axis=1)) < 0.1 * side[:, None]).all()
    assert face_squares(np.zeros((1, 5, 2)))[1].tolist() == [1.0]


def test_points_are_mapped_back_from_the_square_that_was_cut_out(
    scorer: FaceScorer, images: list[Image], points: Points
) -> None:
    """A guess that moves by less than a pixel, inside the same square of whole pixels, gives the same points."""
    guess = points.astype(np.float64)
    corner, _ = face_squares(guess)
    shift = 0.98 * (np.round(corner) - corner)
    score, found = scorer(images, guess)
    again, moved = scorer(images, guess + shift[:, None])
    assert np.abs(shift).max() > 0.3
    np.testing.assert_allclose(moved, found, atol=1e-4)
    np.testing.assert_allclose(again, score, atol=1e-5)


@pytest.mark.parametrize("size", [30, 96, 100, 333])
def test_a_patch_is_the_padded_square_made_small(size: int) -> None:
    """Against padding with black first, which takes memory."""
    ramp = np.add.outer(np.arange(200), np.arange(240)) / 2
    image = np.repeat(ramp[:, :, None], 3, axis=2).astype(np.uint8)
    for left, top in ((20, 30), (-size // 3, 10), (240 - size // 2, 200 - size // 2), (-5, -size // 2)):
        padded = cv2.copyMakeBorder(image, 500, 500, 500, 500, cv2.BORDER_CONSTANT)
        how = cv2.INTER_AREA if size >= 48 else cv2.INTER_LINEAR
        square = padded[500 + top : 500 + top + size, 500 + left : 500 + left + size]
        whole = cv2.resize(square, (48, 48), interpolation=how).astype(int)
        patch = square_patch(image, np.array([left, top], float), float(size)).astype(int)
        different = np.abs(patch - whole) > 6
        assert different.mean() < 0.05  # only where picture and black meet
    inside = cv2.resize(image[30 : 30 + 96, 20 : 20 + 96], (48, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(square_patch(image, np.array([20.0, 30.0]), 96.0), inside)


@pytest.mark.parametrize("side", [3.9 * 2000, 1e7, 1e15])
def test_a_large_square_takes_no_memory(side: float) -> None:
    image = np.full((2000, 2000, 3), 200, np.uint8)
    tracemalloc.start()
    patch = square_patch(image, np.round(np.array([-side / 2, -side / 2])), side)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert (patch > 0).any() == (side < 1e5)
