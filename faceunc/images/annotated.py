"""Landmarks of protocols that say where the face is: five points of every image, or a box."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.images.align import centre_landmarks
from faceunc.images.face_score import FOUND, FaceScorer, face_squares
from faceunc.images.landmarks import Landmarks, Row, collect_landmarks, read_or_none
from faceunc.images.photos import PhotoSet

_BATCH = 32
_SQUARE = 1.18  # the detector's square has this side in units of the face size (square root of the box's area)


def given_landmarks(
    photos: PhotoSet,
    points: NDArray[np.float32],
    score: NDArray[np.float32] | None,
    cache: Path,
    show: bool | None = None,
) -> tuple[Landmarks, str]:
    """Landmarks from a protocol's five points (N, 5, 2), and their name for cache keys.

    Every image is read once to know that it can be. A score (N,) of 0 or less says that the detector failed: the state
    is then ``no_face``. Without scores all are 1. Points, their size and scores stay as given whatever the state is.
    """
    scores = np.ones(len(photos), np.float32) if score is None else score
    name = "given-" + _hash(points, scores)
    sizes = face_squares(points)[1] / _SQUARE

    def find(rows: range, pool: ThreadPoolExecutor) -> list[Row]:
        readable = pool.map(lambda row: read_or_none(photos.root / photos.ids[row]) is not None, rows)
        states = [2 if not good else int(not scores[row] > 0) for row, good in zip(rows, readable, strict=True)]
        return [
            (points[row], state, float(sizes[row]), float(scores[row])) for row, state in zip(rows, states, strict=True)
        ]

    return collect_landmarks(len(photos), _folder(cache, photos, name), find, "check images", show), name


def boxed_landmarks(
    photos: PhotoSet, box: NDArray[np.float32], cache: Path, show: bool | None = None
) -> tuple[Landmarks, str]:
    """Landmarks inside a protocol's boxes (N, 4): x, y, width, height; and their name for cache keys.

    The detector's last stage looks at the box, then again at the square around the points that it found. Where it does
    not see a face, the state is ``no_face``, and the points are those of a face that fills the box. The face size is
    always the box's side (square root of its area); it and the score are NaN only where the image is unreadable.
    """
    name = "boxed-2-" + _hash(box)  # 2: points since squares are of whole pixels both ways
    scorer = FaceScorer()

    def find(rows: range, pool: ThreadPoolExecutor) -> list[Row]:
        found: list[Row] = []
        for start in range(rows.start, rows.stop, _BATCH):
            part = list(range(start, min(start + _BATCH, rows.stop)))
            images = list(pool.map(lambda row: read_or_none(photos.root / photos.ids[row]), part))
            found += _in_boxes(scorer, images, box[part])
        return found

    return collect_landmarks(len(photos), _folder(cache, photos, name), find, "find points", show), name


def _in_boxes(scorer: FaceScorer, images: list[NDArray[np.uint8] | None], box: NDArray[np.float32]) -> list[Row]:
    guess = np.stack([_points_of_box(row) for row in box])
    good = [i for i, image in enumerate(images) if image is not None]
    readable = [image for image in images if image is not None]
    score, points = scorer(readable, guess[good])
    again, better = scorer(readable, points)
    points = np.where((again >= score)[:, None, None], better, points)
    score = np.maximum(again, score)
    rows: list[Row] = [(g, 2, float("nan"), float("nan")) for g in guess]
    for i, p, s in zip(good, points, score, strict=True):
        rows[i] = (
            p if s >= FOUND else guess[i],
            int(s < FOUND),
            float(np.sqrt(max(0.0, float(box[i, 2] * box[i, 3])))),
            float(s),
        )
    return rows


def _points_of_box(box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Five points whose own square has the centre of the box and its mean side."""
    shape = centre_landmarks(250, 250)[None]
    corner, side = face_squares(shape)
    middle = corner + side[:, None] / 2
    scale = np.sqrt(max(1.0, float(box[2] * box[3]))) / side[0]
    points: NDArray[np.float32] = ((shape[0] - middle[0]) * scale + box[:2] + box[2:] / 2).astype(np.float32)
    return points


def _hash(*arrays: NDArray[np.float32]) -> str:
    digest = blake2b(digest_size=8)
    for array in arrays:
        digest.update(np.ascontiguousarray(array, np.float32).tobytes())
    return digest.hexdigest()


def _folder(cache: Path, photos: PhotoSet, name: str) -> Path:
    return cache / "landmarks" / f"{photos.sha256[:16]}-{name}"
