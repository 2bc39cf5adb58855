"""Landmarks that a protocol gives: five points, or a box in which the detector's last stage looks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceunc.images import annotated as module
from faceunc.images.annotated import boxed_landmarks, given_landmarks
from faceunc.images.detect import Detection, FaceDetector
from faceunc.images.face_score import FOUND, face_squares
from faceunc.images.landmarks import Landmarks
from faceunc.images.photos import PhotoSet
from faceunc.images.read import read_image

Floats = NDArray[np.float32]
NAMES = ("Zico", "Aaron_Eckhart", "Tony_Blair", "Adriana_Lima")


def assert_same(a: Landmarks, b: Landmarks) -> None:
    for name in ("points", "state", "face_size", "score"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(path: Path) -> None:
        raise AssertionError(f"read again: {path}")

    monkeypatch.setattr(module, "read_or_none", raising)


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    """Two good photographs, one that is none, one that is missing, a good one again."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in (0, 1, 4):
        Image.new("RGB", (60, 40), (40 * number, 9, 9)).save(folder / f"{number}.png")
    (folder / "2.png").write_bytes(b"no photograph")
    return PhotoSet(folder, tuple(f"{number}.png" for number in range(5)))


@pytest.fixture
def points() -> Floats:
    return np.random.default_rng(0).uniform(5, 35, (5, 5, 2)).astype(np.float32)


SCORE = np.array([0.9, 0.0, 0.8, 0.7, 0.001], np.float32)


def test_given_points(photos: PhotoSet, points: Floats, tmp_path: Path) -> None:
    found, name = given_landmarks(photos, points, SCORE, tmp_path / "cache", show=False)
    assert found.state.tolist() == [0, 1, 2, 2, 0]
    np.testing.assert_array_equal(found.points, points)
    np.testing.assert_array_equal(found.score, SCORE)
    np.testing.assert_allclose(found.face_size, face_squares(points)[1] / 1.18, rtol=1e-6)
    assert name.startswith("given-")


@pytest.mark.parametrize("score", [-1.0, 0.0, float("nan")])
def test_what_counts_as_a_failed_detection(photos: PhotoSet, points: Floats, tmp_path: Path, score: float) -> None:
    found, _ = given_landmarks(photos, points, np.full(5, score, np.float32), tmp_path, show=False)
    assert found.state.tolist() == [1, 1, 2, 2, 1]


def test_without_scores_every_face_counts(photos: PhotoSet, points: Floats, tmp_path: Path) -> None:
    found, name = given_landmarks(photos, points, None, tmp_path, show=False)
    assert found.state.tolist() == [0, 0, 2, 2, 0]
    assert found.score.tolist() == [1.0] * 5
    assert given_landmarks(photos, points, np.ones(5, np.float32), tmp_path, show=False)[1] == name


def test_a_second_call_reads_nothing(
    photos: PhotoSet, points: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, name = given_landmarks(photos, points, SCORE, tmp_path / "cache", show=False)
    box = np.tile(np.array([5, 5, 20, 20], np.float32), (5, 1))
    boxed, boxed_name = boxed_landmarks(photos, box, tmp_path / "cache", show=False)
    forbid_reading(monkeypatch)
    again, same_name = given_landmarks(photos, points, SCORE, tmp_path / "cache", show=False)
    assert_same(again, first)
    assert same_name == name
    again, same_name = boxed_landmarks(photos, box, tmp_path / "cache", show=False)
    assert_same(again, boxed)
    assert same_name == boxed_name != name


@pytest.mark.parametrize("change", ["points", "score", "photos"])
def test_other_points_scores_or_photographs_are_looked_at(
    photos: PhotoSet, points: Floats, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = SCORE.copy()
    given_landmarks(photos, points, score, tmp_path / "cache", show=False)
    if change == "points":
        points[3, 2, 1] += 1
    elif change == "score":
        score[4] = 0
    else:
        Image.new("RGB", (60, 40), (1, 2, 3)).save(photos.root / "0.png")
        photos = PhotoSet(photos.root, photos.ids)
    forbid_reading(monkeypatch)
    with pytest.raises(AssertionError, match="read again"):
        given_landmarks(photos, points, score, tmp_path / "cache", show=False)


@pytest.fixture(scope="module")
def faces(lfw: Path, bush: list[Path]) -> PhotoSet:
    """Nine photographs of five people."""
    names = [path.relative_to(lfw).as_posix() for path in bush[:5]]
    return PhotoSet(lfw, (*names, *(f"{name}/{name}_0001.jpg" for name in NAMES)))


@pytest.fixture(scope="module")
def detections(faces: PhotoSet) -> list[Detection]:
    found = FaceDetector("central")([read_image(path) for path in faces.paths])
    assert None not in found
    return [detection for detection in found if detection is not None]


@pytest.fixture(scope="module")
def boxes(detections: list[Detection]) -> Floats:
    """The detector's own: x, y, width, height."""
    return np.stack([np.concatenate([d.box[:2], d.box[2:] - d.box[:2]]) for d in detections]).astype(np.float32)


def test_the_detectors_boxes_give_its_points(
    faces: PhotoSet, detections: list[Detection], boxes: Floats, tmp_path: Path
) -> None:
    found, name = boxed_landmarks(faces, boxes, tmp_path, show=False)
    error = np.linalg.norm(found.points - np.stack([d.landmarks for d in detections]), axis=2)
    assert found.state.tolist() == [0] * 9
    assert np.median(error) < 4
    assert error.max() < 12
    assert (found.score > 0.95).all()
    np.testing.assert_allclose(found.face_size, [d.size for d in detections], rtol=1e-5)
    assert name.startswith("boxed-")


def test_a_loose_box_gives_nearly_the_same(
    faces: PhotoSet, detections: list[Detection], boxes: Floats, tmp_path: Path
) -> None:
    """Half as large again, and moved: one look misses faces and points by 6 pixels, the second mends it."""
    loose = np.column_stack([boxes[:, :2] - 0.15 * boxes[:, 2:], 1.5 * boxes[:, 2:]])
    found, _ = boxed_landmarks(faces, loose.astype(np.float32), tmp_path, show=False)
    error = np.linalg.norm(found.points - np.stack([d.landmarks for d in detections]), axis=2)
    assert (found.state == 0).all()
    assert np.median(error) < 3.5
    assert error.max() < 15


def test_background_missing_and_damaged(faces: PhotoSet, boxes: Floats, tmp_path: Path) -> None:
    """A box on the background, a missing file, a file that is none, and a good face after them."""
    (tmp_path / "text.jpg").write_text("no photograph")
    ids = (faces.ids[0], "missing.jpg", str(tmp_path / "text.jpg"), faces.ids[1])
    box = boxes[[0, 0, 0, 1]].copy()
    box[0] = [0, 0, 50, 50]
    found, _ = boxed_landmarks(PhotoSet(faces.root, ids), box, tmp_path / "cache", show=False)
    assert found.state.tolist() == [1, 2, 2, 0]
    assert found.score[0] < FOUND
    assert np.isnan(found.score[1:3]).all()
    assert np.isnan(found.face_size[1:3]).all()
    assert np.abs(found.points[0].mean(axis=0) - 25).max() < 5  # the points of a face in the middle of the box
    alone, _ = boxed_landmarks(faces.subset([1]), boxes[1:2], tmp_path / "cache", show=False)
    np.testing.assert_allclose(found.points[3], alone.points[0], atol=0.01)


def test_nothing_readable(tmp_path: Path) -> None:
    found, _ = boxed_landmarks(
        PhotoSet(tmp_path, ("a.jpg", "b.jpg")), np.array([[0, 0, 9, 9]] * 2, np.float32), tmp_path / "cache", show=False
    )
    assert found.state.tolist() == [2, 2]


@pytest.mark.parametrize("box", [(-500, -500, 20, 20), (100, 100, 0, 0), (100, 100, 1, 1), (240, 240, 60, 60)])
def test_boxes_without_a_face(faces: PhotoSet, tmp_path: Path, box: tuple[float, ...]) -> None:
    found, _ = boxed_landmarks(faces.subset([0]), np.array([box], np.float32), tmp_path, show=False)
    assert found.state.tolist() == [1]
    assert np.isfinite(found.points).all()


def test_a_box_far_larger_than_the_photograph(faces: PhotoSet, tmp_path: Path) -> None:
    found, _ = boxed_landmarks(faces.subset([0]), np.array([[0, 0, 1e7, 1e7]], np.float32), tmp_path, show=False)
    assert found.state.tolist() == [1]


def test_no_images(tmp_path: Path) -> None:
    none = PhotoSet(tmp_path, ())
    given, _ = given_landmarks(none, np.empty((0, 5, 2), np.float32), None, tmp_path / "cache", show=False)
    boxed, _ = boxed_landmarks(none, np.empty((0, 4), np.float32), tmp_path / "cache", show=False)
    for found in (given, boxed):
        assert found.points.shape == (0, 5, 2)
        assert len(found.state) == len(found.face_size) == len(found.score) == 0
        assert found.counts() == {"found": 0, "no_face": 0, "unreadable": 0}


def test_a_box_without_a_face_keeps_its_size_and_score(faces: PhotoSet, tmp_path: Path) -> None:
    found, _ = boxed_landmarks(faces.subset([0]), np.array([[0, 0, 30, 40]], np.float32), tmp_path, show=False)
    assert found.state.tolist() == [1]
    assert found.face_size[0] == pytest.approx(np.sqrt(1200))
    assert 0 <= found.score[0] < FOUND
