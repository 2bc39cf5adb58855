"""Landmarks of a whole photo set, found once and kept: detection is the slowest stage, and no backbone changes it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from faceunc.errors import ImageError
from faceunc.images.align import centre_landmarks
from faceunc.images.detect import Detection, FaceDetector
from faceunc.images.photos import PhotoSet
from faceunc.images.read import read_image
from faceunc.progress import bar
from faceunc.storage import atomic_write

STATES = ("found", "no_face", "unreadable")
_CHUNK = 400


@dataclass(frozen=True)
class Landmarks:
    """Where the face is on every photograph of a set, and how that is known.

    ``points``, ``face_size`` and ``score`` hold numbers that are no detection where ``state`` is not 0. Which ones
    depends on where the landmarks come from: ``find_landmarks`` (detection), ``given_landmarks`` (a protocol's five
    points) or ``boxed_landmarks`` (a protocol's box).

    Attributes:
        points: float32 (N, 5, 2), never NaN where the protocol's are not (LFW's rule: a pair is never dropped). Where
            no face was found or the file is unreadable: detection has those of a centred face, a box those of a face
            that fills it; given points are always as given.
        state: uint8 (N,), index into :data:`STATES`.
        face_size: float32 (N,), side of the face in pixels. Detection: NaN where no face was found. A box: its own
            side, NaN where the file is unreadable. Given points: always the one that they tell.
        score: float32 (N,), the detector's probability. Detection: NaN where no face was found. A box: what the last
            stage said, also where that was too low, NaN where the file is unreadable. Given points: always as given.
    """

    points: NDArray[np.float32]
    state: NDArray[np.uint8]
    face_size: NDArray[np.float32]
    score: NDArray[np.float32]

    def counts(self) -> dict[str, int]:
        """How many photographs are in each state."""
        return {name: int((self.state == code).sum()) for code, name in enumerate(STATES)}


Row = tuple[NDArray[np.float32], int, float, float]
Finder = Callable[[range, ThreadPoolExecutor], list[Row]]


def find_landmarks(photos: PhotoSet, detector: FaceDetector, cache: Path, show: bool | None = None) -> Landmarks:
    """Landmarks of every photograph, from ``cache`` where they are there, else found now and stored chunk by chunk.

    A run that is killed goes on where it stopped. Photographs that cannot be read count as ``unreadable``.
    """
    folder = cache / "landmarks" / f"{photos.sha256[:16]}-{detector.name}"

    def find(rows: range, pool: ThreadPoolExecutor) -> list[Row]:
        found = []
        for start in range(rows.start, rows.stop, detector.batch_size):
            paths = [photos.root / photos.ids[row] for row in rows[start - rows.start :][: detector.batch_size]]
            images = list(pool.map(read_or_none, paths))
            detections = iter(detector([image for image in images if image is not None]))
            found += [_row(image, next(detections) if image is not None else None) for image in images]
        return found

    return collect_landmarks(len(photos), folder, find, "detect", show)


def collect_landmarks(count: int, folder: Path, find: Finder, what: str, show: bool | None = None) -> Landmarks:
    """Rows of ``find`` for all of ``count`` photographs, kept chunk by chunk in ``folder``. None is fine too."""
    if not count:
        empty = np.empty(0, np.float32)
        return Landmarks(np.empty((0, 5, 2), np.float32), np.empty(0, np.uint8), empty, empty)
    parts = []
    with bar(what, count, show=show) as progress, ThreadPoolExecutor(2) as pool:
        for start in range(0, count, _CHUNK):
            rows = range(start, min(start + _CHUNK, count))
            parts.append(_chunk(rows, find, folder / f"{start:08d}.safetensors", pool))
            progress.update(len(rows))
    return Landmarks(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _chunk(numbers: range, find: Finder, path: Path, pool: ThreadPoolExecutor) -> dict[str, NDArray[Any]]:
    try:
        return dict(load_file(path))
    except (OSError, SafetensorError):
        pass
    rows = find(numbers, pool)
    arrays: dict[str, NDArray[Any]] = {
        # in C order: safetensors writes an array's bytes as they lie
        "points": np.ascontiguousarray(np.stack([row[0] for row in rows]), np.float32),
        "state": np.array([row[1] for row in rows], np.uint8),
        "face_size": np.array([row[2] for row in rows], np.float32),
        "score": np.array([row[3] for row in rows], np.float32),
    }
    atomic_write(path, save(arrays))
    return arrays


def _row(image: NDArray[np.uint8] | None, detection: Detection | None) -> Row:
    if detection is not None:
        return detection.landmarks, 0, detection.size, detection.score
    height, width = image.shape[:2] if image is not None else (250, 250)
    return centre_landmarks(width, height), 1 if image is not None else 2, np.nan, np.nan


def read_or_none(path: Path) -> NDArray[np.uint8] | None:
    """The photograph, or None when it cannot be used."""
    try:
        return read_image(path)
    except ImageError:
        return None
