"""MTCNN on scikit-image's astronaut, alone and in company."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.backbones.precision import ASTRONAUT_POINTS
from faceunc.errors import InputError
from faceunc.images.detect import SELECTIONS, Detection, FaceDetector

Image = NDArray[np.uint8]
BLANK: Image = np.full((200, 200, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    """The astronaut's head and shoulders, 200 x 200."""
    return np.ascontiguousarray(astronaut[20:220, 120:320])


@pytest.fixture(scope="module")
def two_faces(face: Image) -> Image:
    """A large face at the left edge and one of half its size in the centre of the photograph."""
    canvas = np.full((400, 900, 3), 128, np.uint8)
    canvas[:400, :400] = cv2.resize(face, (400, 400))
    canvas[100:300, 350:550] = face
    return canvas


def test_astronaut(detector: FaceDetector, astronaut: Image) -> None:
    before = astronaut.copy()
    (detection,) = detector([astronaut])
    assert detection is not None
    assert detection.faces == 1
    assert 0.99 < detection.score <= 1.0
    assert np.abs(detection.landmarks - np.array(ASTRONAUT_POINTS)).max() < 12
    assert 80 < detection.size < 120
    x1, y1, x2, y2 = detection.box
    assert ((detection.landmarks > [x1, y1]) & (detection.landmarks < [x2, y2])).all()
    np.testing.assert_array_equal(astronaut, before)


@pytest.mark.parametrize(("select", "size"), [("largest", 200), ("central", 100)])
def test_which_of_two_faces(select: str, size: float, two_faces: Image) -> None:
    (detection,) = FaceDetector(select=select)([two_faces])
    assert detection is not None
    assert detection.faces == 2
    assert detection.size == pytest.approx(size, rel=0.15)


@pytest.mark.parametrize(
    "images",
    [
        [BLANK],
        [BLANK, BLANK],
        [np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)] * 2,
        [np.zeros((8, 8, 3), np.uint8)],
        [np.zeros((41, 2000, 3), np.uint8)],
        [np.zeros((40, 40, 3), np.uint8), np.zeros((39, 500, 3), np.uint8)],
        [],
    ],
)
def test_no_face(detector: FaceDetector, images: list[Image]) -> None:
    assert detector(images) == [None] * len(images)


def test_mixed_sizes_keep_their_order(detector: FaceDetector, face: Image) -> None:
    wide = np.pad(face, ((0, 0), (0, 60), (0, 0)), "edge")
    images = [BLANK, wide, face, np.zeros((10, 10, 3), np.uint8), BLANK, face]
    together = detector(images)
    assert [d is not None for d in together] == [False, True, True, False, False, True]
    for image, detection in zip(images, together, strict=True):
        (alone,) = detector([image])
        assert (alone is None) == (detection is None)
        if alone is not None and detection is not None:
            np.testing.assert_allclose(detection.landmarks, alone.landmarks, atol=0.5)


def test_batches_do_not_matter(detector: FaceDetector, face: Image) -> None:
    images = [face, BLANK, face[:, ::-1].copy()]
    small = FaceDetector(batch_size=1)(images)
    for one, other in zip(small, detector(images), strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_allclose(one.box, other.box, atol=0.5)


def test_large_photograph_is_searched_small_and_scaled_back(face: Image) -> None:
    large = cv2.resize(face, (800, 800))
    (detection,) = FaceDetector(max_side=200)([large])
    (small,) = FaceDetector()([face])
    assert detection is not None
    assert small is not None
    assert np.abs(detection.landmarks / 4 - small.landmarks).max() < 3
    assert detection.size / 4 == pytest.approx(small.size, rel=0.1)


def test_size_of_a_box() -> None:
    points = np.zeros((5, 2), np.float32)
    assert Detection(points, np.array([10, 20, 40, 50], np.float32), 1.0, 1).size == pytest.approx(30.0)
    assert Detection(points, np.array([40, 20, 10, 50], np.float32), 1.0, 1).size == 0.0


def test_name_tells_the_settings_apart() -> None:
    settings = itertools.product(SELECTIONS, (20, 40), (640, 1280))
    assert len({FaceDetector(select, size, side).name for select, size, side in settings}) == 8


def test_unknown_selection() -> None:
    with pytest.raises(InputError, match="largest, central"):
        FaceDetector(select="smallest")


def test_smallest_face_in_pixels_of_the_photograph() -> None:
    detector = FaceDetector(min_face_size=40, max_side=1280)
    assert detector.smallest(250, 200) == 40
    assert detector.smallest(1000, 2560) == 80
