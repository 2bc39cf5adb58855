"""Our MTCNN against facenet-pytorch's own, and its windows against torch's adaptive average."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from torch.nn import functional as F

from faceunc.images.detect import DETECTORS, FaceDetector
from faceunc.images.mtcnn import Faces, Mtcnn
from faceunc.images.mtcnn_windows import Windows
from faceunc.images.read import read_image

Image = NDArray[np.uint8]


def oracle(photos: Image, smallest: int) -> list[Faces]:
    """What facenet-pytorch finds, in its order: the largest face first."""
    mtcnn = MTCNN(keep_all=True, min_face_size=smallest)
    found = []
    for boxes, scores, points in zip(*mtcnn.detect(photos.copy(), landmarks=True), strict=True):
        if boxes is None:
            found.append(Faces(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32)))
        else:
            found.append(Faces(*(np.asarray(part, np.float32) for part in (boxes, scores, points))))
    return found


def largest_first(faces: Faces) -> Faces:
    sides = faces.boxes[:, 2:] - faces.boxes[:, :2]
    order = np.argsort(sides.prod(axis=1))[::-1]
    return Faces(faces.boxes[order], faces.scores[order], faces.points[order])


def assert_same(photos: Image, smallest: int) -> int:
    """All faces agree to 0.01 px; returns how many there are."""
    count = 0
    for expected, faces in zip(oracle(photos, smallest), Mtcnn(smallest)(photos), strict=True):
        got = largest_first(faces)
        assert len(got) == len(expected)
        np.testing.assert_allclose(got.boxes, expected.boxes, rtol=0, atol=0.01)
        np.testing.assert_allclose(got.points, expected.points, rtol=0, atol=0.01)
        np.testing.assert_allclose(got.scores, expected.scores, rtol=0, atol=1e-4)
        count += len(got)
    return count


@pytest.mark.parametrize(("smallest", "least"), [(20, 26), (40, 24), (80, 24)])
def test_same_faces_on_lfw(smallest: int, least: int, lfw: Path) -> None:
    people = sorted(path for path in lfw.iterdir() if path.is_dir())[::231][:24]
    photos = np.stack([read_image(min(person.glob("*.jpg"))) for person in people])
    assert assert_same(photos, smallest) >= least


@pytest.mark.parametrize("size", [(512, 512), (301, 407), (90, 640), (700, 300)])
def test_same_faces_at_other_sizes(size: tuple[int, int], astronaut: Image) -> None:
    """A face that leaves the photograph, one that is squeezed, several side by side."""
    cut = np.ascontiguousarray(astronaut[60:300, 190:420])
    photos = np.stack([cv2.resize(part, size[::-1]) for part in (astronaut, cut, np.tile(cut, (1, 3, 1)))])
    assert assert_same(photos, 24)


def test_nothing_to_find() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 120, 90, 3), np.uint8)
    for photos in (noise, np.zeros_like(noise), noise[:, :30, :30]):
        assert [len(faces) for faces in Mtcnn(40)(photos)] == [0, 0, 0]


@pytest.mark.parametrize("shape", [(33, 47), (12, 300), (200, 13)])
def test_windows_are_adaptive_averages(shape: tuple[int, int]) -> None:
    """Sizes that do not divide, crops smaller than their output, single pixels."""
    rng = np.random.default_rng(1)
    photos = rng.integers(0, 256, (2, *shape, 3), np.uint8)
    planes = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() - 127.5) * 0.0078125
    windows = Windows(photos)
    for height, width in ((1, 1), (7, 5), shape, (shape[0] + 3, 20)):
        expected = F.adaptive_avg_pool2d(planes, (height, width))
        torch.testing.assert_close(windows.whole(height, width), expected, rtol=0, atol=2e-6)
    corners = rng.integers(0, (shape[1], shape[0]), (40, 2))
    ends = rng.integers(corners + 1, (shape[1] + 1, shape[0] + 1))
    photo, boxes = rng.integers(0, 2, 40), np.concatenate([corners, ends], 1)
    crops = windows.crops(photo, boxes, 24)
    for number, (x1, y1, x2, y2), crop in zip(photo, boxes, crops, strict=True):
        expected = F.adaptive_avg_pool2d(planes[number, :, y1:y2, x1:x2], 24)
        torch.testing.assert_close(crop, expected, rtol=0, atol=2e-6)


def test_sums_of_a_white_photograph_do_not_overflow() -> None:
    photo = np.full((1, 3000, 3000, 3), 255, np.uint8)  # its sum needs more than 31 bits
    assert torch.equal(Windows(photo).whole(2, 2), torch.full((1, 3, 2, 2), 127.5 / 128))


def test_fast_detector_finds_the_same_faces(bush: list[Path]) -> None:
    photos = [read_image(path) for path in bush[:40]]
    both = zip(FaceDetector()(photos), FaceDetector(kind="mtcnn-fast")(photos), strict=True)
    shifts = [float(np.abs(one.landmarks - two.landmarks).mean()) for one, two in both if one and two]
    assert len(shifts) == len(photos)
    assert np.median(shifts) < 1.5
    assert DETECTORS["mtcnn-fast"].thresholds > DETECTORS["mtcnn"].thresholds


def test_landmarks_lie_in_c_order(astronaut: NDArray[np.uint8]) -> None:
    """They are written to files byte by byte."""
    (found,) = FaceDetector()([astronaut])
    assert found is not None
    assert found.landmarks.flags["C_CONTIGUOUS"]
