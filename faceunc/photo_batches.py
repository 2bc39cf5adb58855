"""What goes through an embedder: photographs read ahead and put into batches, and what is said of each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.errors import ImageError
from faceunc.images.detect import Detection
from faceunc.images.measures import Measures, measure_chip, measure_face
from faceunc.images.read import as_rgb, read_image
from faceunc.images.views import sharpness

BATCH = 32
_BATCH_PIXELS = 24_000_000
_READ_AHEAD = 16
_NAN = float("nan")
Photo = str | Path | NDArray[np.generic]
Group = tuple[list[NDArray[np.uint8] | ImageError], Sequence[str]]


@dataclass(frozen=True)
class Failure:
    """A photograph that could not be embedded: its id, one of FAILURE_KINDS, and what happened."""

    photo: str
    kind: str
    message: str


@dataclass(frozen=True)
class Quality:
    """Simple facts of an embedded photograph.

    Face side in its pixels (NaN for a given chip), the detector's score, number of faces seen, sharpness of the chip
    (variance of the Laplacian), length of the raw embedding; sigma of the detected box and landmarks in pixels of
    the photograph (root mean square over coordinates; NaN without a ``detector_sigma``); and the measurements that
    :func:`faceunc.images.diagnose.diagnose` turns into likely flaws.
    """

    face_size: float
    score: float
    faces: int
    sharpness: float
    norm: float
    box_sigma: float = float("nan")
    landmark_sigma: float = float("nan")
    measures: Measures = field(default_factory=Measures)


@dataclass(frozen=True)
class Batch:
    """Result of one batch: the embedded photographs with their quality, the failures, and the aligned RGB chips, uint8
    (S, S, 3), of the embedded ones as they went into the backbone (none where parts of a run were read from disk)."""

    embeddings: Embeddings
    quality: list[Quality]
    failures: list[Failure]
    chips: list[NDArray[np.uint8]] = field(default_factory=list)


def group_photos(
    images: Iterator[NDArray[np.uint8] | ImageError], names: Sequence[str], batch_size: int
) -> Iterator[Group]:
    """Batches of what was read, with its names."""
    group: list[NDArray[np.uint8] | ImageError] = []
    start = pixels = 0
    for image in images:
        group.append(image)
        pixels += 0 if isinstance(image, ImageError) else image.shape[0] * image.shape[1]
        if len(group) == batch_size or pixels >= _BATCH_PIXELS:
            yield group, names[start : start + len(group)]
            start += len(group)
            group, pixels = [], 0
    if group:
        yield group, names[start:]


def read_ahead(photos: Sequence[Photo], names: Sequence[str]) -> Iterator[NDArray[np.uint8] | ImageError]:
    """The photographs in order, up to 16 of them read ahead in two threads."""
    with ThreadPoolExecutor(2) as pool:
        todo = (pool.submit(_read, photo, name) for photo, name in zip(photos, names, strict=True))
        ahead = deque(islice(todo, _READ_AHEAD))
        while ahead:
            image = ahead.popleft().result()
            ahead.extend(islice(todo, 1))
            yield image


def _read(photo: Photo, name: str) -> NDArray[np.uint8] | ImageError:
    try:
        return read_image(photo) if isinstance(photo, str | Path) else as_rgb(photo, name)
    except ImageError as error:
        return error


def quality_of(
    image: NDArray[np.uint8],
    detection: Detection | None,
    chip: NDArray[np.uint8],
    norm: float,
    measure: Literal["chip", "photo"] | None,
) -> Quality:
    """``measure``: the flaws on this chip, on the standard chip of the photograph, or not at all."""
    sharp = sharpness(chip)
    if detection is None:
        return Quality(_NAN, _NAN, 1, sharp, norm, measures=measure_chip(image) if measure else Measures())
    if measure is None:
        measures = Measures(face_size=detection.size)
    else:
        measures = measure_face(image, detection.landmarks, detection.size, chip if measure == "chip" else None)
    return Quality(detection.size, detection.score, detection.faces, sharp, norm, measures=measures)
