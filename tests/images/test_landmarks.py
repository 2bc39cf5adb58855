"""Landmarks of a set are found once, kept, and survive damage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceunc.images import landmarks as module
from faceunc.images.align import centre_landmarks
from faceunc.images.detect import Detection, FaceDetector
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.photos import PhotoSet, identity_folder


class FakeDetector(FaceDetector):
    """Finds a face whose landmarks tell the photograph's brightness, in all that are not black; counts what it sees."""

    def __init__(self, name: str = "fake") -> None:
        self.batch_size = 3
        self.seen = 0
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
        self.seen += len(images)
        box = np.array([0, 0, 30, 30], np.float32)
        return [Detection(np.full((5, 2), i.max(), np.float32), box, 0.9, 1) if i.any() else None for i in images]


class RaisingDetector(FakeDetector):
    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
        raise AssertionError("detected again")


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    """Seven photographs: brightness 0 (no face), 10, 20, ..., 50, and one file that is none; wider than high."""
    folder = tmp_path / "photos" / "A"
    folder.mkdir(parents=True)
    for index in range(6):
        Image.new("L", (60, 40), 10 * index).save(folder / f"{index}.png")
    (folder / "3x.png").write_bytes(b"no photograph")
    return identity_folder(folder.parent)


def assert_same(a: Landmarks, b: Landmarks) -> None:
    for name in ("points", "state", "face_size", "score"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_every_photograph_gets_its_own(photos: PhotoSet, tmp_path: Path) -> None:
    found = find_landmarks(photos, FakeDetector(), tmp_path / "cache", show=False)
    assert found.counts() == {"found": 5, "no_face": 1, "unreadable": 1}
    assert found.state.tolist() == [1, 0, 0, 0, 2, 0, 0]
    assert found.points[[1, 2, 3, 5, 6], 0, 0].tolist() == [10, 20, 30, 40, 50]
    np.testing.assert_array_equal(found.points[0], centre_landmarks(60, 40))
    np.testing.assert_array_equal(found.points[4], centre_landmarks(250, 250))
    assert np.isnan(found.score).tolist() == [True, False, False, False, True, False, False]
    assert found.face_size[1] == 30
    assert found.points.dtype == np.float32


def test_second_call_does_not_detect(photos: PhotoSet, tmp_path: Path) -> None:
    first = find_landmarks(photos, FakeDetector(), tmp_path, show=False)
    assert_same(find_landmarks(photos, RaisingDetector(), tmp_path, show=False), first)


def test_killed_run_goes_on(photos: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find_landmarks(photos, FakeDetector(), tmp_path / "whole", show=False)
    monkeypatch.setattr(module, "_CHUNK", 3)

    class Killed(FakeDetector):
        def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
            if self.seen >= 3:
                raise KeyboardInterrupt
            return super().__call__(images)

    with pytest.raises(KeyboardInterrupt):
        find_landmarks(photos, Killed(), tmp_path / "parts", show=False)
    detector = FakeDetector()
    assert_same(find_landmarks(photos, detector, tmp_path / "parts", show=False), whole)
    assert detector.seen == 3


@pytest.mark.parametrize("damage", [b"", b"garbage", "cut"])
def test_damaged_cache_is_made_anew(damage: Any, photos: PhotoSet, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = find_landmarks(photos, FakeDetector(), cache, show=False)
    (file,) = cache.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-10] if damage == "cut" else damage)
    assert_same(find_landmarks(photos, FakeDetector(), cache, show=False), first)
    assert_same(find_landmarks(photos, RaisingDetector(), cache, show=False), first)


def test_other_photographs_or_detector_are_detected(photos: PhotoSet, tmp_path: Path) -> None:
    find_landmarks(photos, FakeDetector(), tmp_path, show=False)
    for other_photos, name in ((photos.subset([1, 2]), "fake"), (photos, "other")):
        detector = FakeDetector(name)
        find_landmarks(other_photos, detector, tmp_path, show=False)
        assert detector.seen > 0


def test_missing_file_counts_as_unreadable(photos: PhotoSet, tmp_path: Path) -> None:
    photos.paths[1].unlink()
    found = find_landmarks(photos, FakeDetector(), tmp_path, show=False)
    assert found.counts() == {"found": 4, "no_face": 1, "unreadable": 2}


def test_real_detector_on_lfw(lfw: Path, tmp_path: Path) -> None:
    photos = PhotoSet(lfw, ("Aaron_Eckhart/Aaron_Eckhart_0001.jpg", "Zico/Zico_0001.jpg"))
    found = find_landmarks(photos, FaceDetector(select="central"), tmp_path, show=False)
    assert found.counts()["found"] == 2
    assert np.abs(found.points - centre_landmarks(250, 250)).max() < 25
