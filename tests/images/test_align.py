"""Alignment against scikit-image's similarity transform, and by where the landmarks arrive."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.transform import SimilarityTransform

from faceunc.backbones.dlib_resnet import SPEC
from faceunc.images.align import align_face, centre_landmarks, similarity_transform

TEMPLATE = np.array(SPEC.template)


def photo_with_points(points: NDArray[np.float64], shape: tuple[int, int], radius: float) -> NDArray[np.uint8]:
    """A black photograph with a soft white spot at every point."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    spots = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2)) for x, y in points]
    return np.dstack([np.max(spots, 0) * 255] * 3).astype(np.uint8)


def spot_centres(chip: NDArray[np.uint8], near: NDArray[np.float64], window: int = 9) -> NDArray[np.float64]:
    """Centre of mass of the light around each expected place."""
    found = []
    for x, y in np.rint(near).astype(int):
        part = chip[y - window : y + window + 1, x - window : x + window + 1, 0].astype(np.float64)
        rows, columns = np.mgrid[y - window : y + window + 1, x - window : x + window + 1]
        found.append([(part * columns).sum() / part.sum(), (part * rows).sum() / part.sum()])
    return np.array(found)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(2, 8))
def test_similarity_agrees_with_scikit_image(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.uniform(0, 300, (2, count, 2))
    expected = SimilarityTransform.from_estimate(source, target)
    np.testing.assert_allclose(similarity_transform(source, target), expected.params[:2], rtol=1e-6, atol=1e-6)


def test_similarity_never_mirrors() -> None:
    mirrored = TEMPLATE * [-1, 1]
    assert np.linalg.det(similarity_transform(mirrored, TEMPLATE)[:, :2]) > 0


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (np.ones((5, 2)), TEMPLATE),
        (TEMPLATE[:4], TEMPLATE),
        (np.ones((5, 3)), np.ones((5, 3))),
        (np.ones(5), np.ones(5)),
    ],
)
def test_similarity_refuses(source: NDArray[np.float64], target: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"points|source"):
        similarity_transform(source, target)


@pytest.mark.parametrize("size", [0.7, 1.0, 1.9, 2.1, 3.3, 5.0, 8.5])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_landmarks_arrive_at_the_template(size: float, angle: float) -> None:
    """Also where the photograph is averaged down first (faces more than twice as large as the chip)."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (TEMPLATE - 75) @ turn.T * size + 110 * size
    side = int(220 * size)
    chip = align_face(photo_with_points(points, (side, side + 13), 3 * size), points, TEMPLATE, 150)
    assert chip.shape == (150, 150, 3)
    np.testing.assert_allclose(spot_centres(chip, TEMPLATE), TEMPLATE, atol=0.15)


@pytest.mark.parametrize("size", [2.5, 3.3, 5.0, 8.5])
def test_large_faces_are_not_aliased(size: float) -> None:
    side = int(160 * size)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    chip = align_face(noise, TEMPLATE * size, TEMPLATE, 150)
    reference = cv2.resize(noise[: int(150 * size), : int(150 * size)], (150, 150), interpolation=cv2.INTER_AREA)
    assert chip.std() < 1.35 * reference.std()


def test_outside_repeats_the_border() -> None:
    chip = align_face(np.full((100, 100, 3), 77, np.uint8), TEMPLATE + 300, TEMPLATE, 150)
    assert (chip == 77).all()


def test_input_is_not_changed(astronaut: NDArray[np.uint8]) -> None:
    before = astronaut.copy()
    align_face(astronaut, centre_landmarks(512, 512), TEMPLATE, 32)
    np.testing.assert_array_equal(astronaut, before)


def test_centre_landmarks_scale_and_centre() -> None:
    square, wide = centre_landmarks(250, 250), centre_landmarks(500, 250)
    assert square.shape == (5, 2)
    assert square.dtype == np.float32
    np.testing.assert_allclose(wide - square, np.tile([125, 0], (5, 1)), atol=1e-4)
    np.testing.assert_allclose(centre_landmarks(500, 500), 2 * square, rtol=1e-5)
    left_eye, right_eye, nose, left_mouth, right_mouth = square
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
