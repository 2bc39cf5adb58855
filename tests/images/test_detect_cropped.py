"""mtcnn-cropped: large faces first, and the full search wherever that is not sure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.images.detect import SELECTIONS, Detection, FaceDetector
from faceunc.images.detect_agreement import compare_detections
from faceunc.images.mtcnn import Faces
from faceunc.images.read import read_image

Image = NDArray[np.uint8]


class Counted(FaceDetector):
    """Notes how many photographs the full search sees."""

    def __init__(self, select: str = "largest", min_face_size: int = 40) -> None:
        super().__init__(select, min_face_size, kind="mtcnn-cropped")
        self.searched = 0
        full = self._mtcnn

        def count(photos: Image) -> list[Faces]:
            self.searched += len(photos)
            return full(photos)

        self._mtcnn = count  # type: ignore[assignment]


@pytest.fixture(scope="module")
def photos(lfw: Path) -> list[Image]:
    """Of 24 persons, 250 x 250."""
    people = sorted(path for path in lfw.iterdir() if path.is_dir())[::231][:24]
    return [read_image(min(person.glob("*.jpg"))) for person in people]


def assert_equal(one: list[Detection | None], two: list[Detection | None], tolerance: float = 0.01) -> None:
    for first, second in zip(one, two, strict=True):
        assert (first is None) == (second is None)
        if first is not None and second is not None:
            np.testing.assert_allclose(first.box, second.box, atol=tolerance)
            np.testing.assert_allclose(first.landmarks, second.landmarks, atol=tolerance)
            assert first.faces == second.faces


@pytest.mark.parametrize("select", SELECTIONS)
def test_most_photographs_of_lfw_need_no_full_search(select: str, photos: list[Image]) -> None:
    detector = Counted(select)
    agreement = compare_detections(FaceDetector(select)(photos), detector(photos))
    assert detector.searched <= len(photos) // 4
    assert agreement.missed == agreement.added == 0
    assert agreement.other <= (select == "largest")
    assert np.median(agreement.shift) < 2


@pytest.mark.parametrize("select", SELECTIONS)
def test_two_faces_of_like_size_are_searched_in_full(select: str, photos: list[Image]) -> None:
    pairs = [np.concatenate(pair, axis=1) for pair in zip(photos[:6:2], photos[1:6:2], strict=True)]
    detector = Counted(select)
    assert_equal(detector(pairs), FaceDetector(select)(pairs))
    assert detector.searched == len(pairs)


def test_a_face_off_the_centre_is_not_taken_for_the_central_one(photos: list[Image]) -> None:
    wide = []
    for large, small in zip(photos[:6:2], photos[1:6:2], strict=True):
        canvas = np.full((250, 650, 3), 90, np.uint8)
        canvas[:, :250], canvas[50:200, 250:400] = large, cv2.resize(small, (150, 150), interpolation=cv2.INTER_AREA)
        wide.append(canvas)
    detector = Counted("central")
    found = detector(wide)
    assert detector.searched == len(wide)
    assert_equal(found, FaceDetector("central")(wide))
    assert all(one is not None and one.size < 90 for one in found)
    assert all(one is not None and one.size > 75 for one in Counted("largest")(wide))


def test_small_faces_are_found_by_the_full_search(astronaut: Image) -> None:
    detector = Counted()
    small = np.pad(astronaut, ((400, 400), (400, 400), (0, 0)), "edge")
    assert_equal(detector([small]), FaceDetector()([small]))
    assert detector.searched == 1


@pytest.mark.parametrize("smallest", [220, 90, 20])
def test_the_smallest_face_counts(smallest: int, photos: list[Image]) -> None:
    """Faces of about 100 pixels: too small for most, as MTCNN takes it; hardly large enough; large."""
    found = Counted(min_face_size=smallest)(photos)
    agreement = compare_detections(FaceDetector(min_face_size=smallest)(photos), found)
    assert agreement.missed == agreement.added == 0
    assert (None in found) == (smallest == 220)


def test_scaled_back_from_a_large_photograph(photos: list[Image]) -> None:
    (small,), detector = Counted()(photos[:1]), Counted()
    detector.max_side = 250
    (found,) = detector([cv2.resize(photos[0], (1000, 1000))])
    assert detector.searched == 0
    assert small is not None
    assert found is not None
    assert np.abs(found.landmarks / 4 - small.landmarks).max() < 3


def test_neither_runs_nor_batches_matter(photos: list[Image]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (250, 250, 3), np.uint8)
    mixed = [noise, photos[0], np.concatenate(photos[:2], axis=1), photos[1], noise[:30, :30], photos[2]]
    detector = FaceDetector(kind="mtcnn-cropped")
    together = detector(mixed)
    assert [one is not None for one in together] == [False, True, True, True, False, True]
    assert_equal(detector(mixed), together, tolerance=0.0)
    assert_equal([detector([image])[0] for image in mixed], together)


def test_the_name_says_so() -> None:
    assert FaceDetector(kind="mtcnn-cropped").name == "mtcnn-cropped-largest-40-1280"


def test_sure_of_the_central_face_only_near_the_middle() -> None:
    """A face 35 px off along the diagonal leaves room for one that is nearer to the middle and beside it."""
    detector = FaceDetector("central", kind="mtcnn-cropped")
    points = np.zeros((1, 5, 2), np.float32)

    def sure(box: tuple[float, float, float, float]) -> bool:
        faces = Faces(np.array([box], np.float32), np.ones(1, np.float32), points)
        return detector._stands_out(detector._choose(faces, 1.0, (250, 250)), faces, 1.0, (250, 250))

    assert sure((85, 90, 185, 190))
    assert not sure((100, 100, 200, 200))
