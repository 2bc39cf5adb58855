"""Examples without labels: the detection on the clean photograph is the target for its moved and degraded versions."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.detection.features import LastStage, StageOutput, to_pixels, to_sides
from faceunc.errors import InputError
from faceunc.images.degrade import CLEAN, Degradation, degrade, draw_degradation, image_seed
from faceunc.images.face_score import FOUND, face_squares, square_patch
from faceunc.images.landmarks import Landmarks, read_or_none
from faceunc.images.photos import PhotoSet
from faceunc.progress import bar

REGION = 160  # pixels: at this size the face's surroundings are degraded; the face itself has 100 of them
_AROUND = 1.6  # the region's side in sides of the face: wide enough for every moved crop
_CHUNK = 64
Part = tuple[list[int], list[Degradation], StageOutput, Tensor]  # rows of the photographs; residuals


@dataclass(frozen=True)
class VersionOptions:
    """What is made of a photograph.

    Attributes:
        versions: how many crops a photograph; the first is only moved, the others are degraded too, by the standard mix
            (:func:`draw_degradation`) on the face's surroundings at 160 x 160 pixels.
        shift: most that a crop is moved along x and y, in sides. scale: most that it grows or shrinks, as a factor.
        seed: of the moves and degradations, together with the photograph's name.
    """

    versions: int = 5
    shift: float = 0.15
    scale: float = 1.25
    seed: int = 0

    def __post_init__(self) -> None:
        if self.versions < 1 or not 0.0 <= self.shift <= 0.15 or not 1.0 <= self.scale <= 1.25:
            raise InputError(
                "versions must be at least 1, shift in [0, 0.15] and scale in [1, 1.25]. "
                f"Got {self.versions}, {self.shift} and {self.scale} instead."
            )


@dataclass(frozen=True)
class Examples:
    """M crops, with how far the last stage is off on each.

    Attributes:
        features: (M, 256). residual: (M, 14), target minus the last stage's answer, in sides of the crop.
        places: (M, 14), that answer, in the same unit. probability: (M,), of a face.
        photo: int (M,), row in the photo set. kind: (M,), of the degradation, "none" for the clean one.
        severity: (M,), in [0, 1]; NaN for the clean one.
        skipped: photographs without an example: no face found by the whole detector, or not again by its last stage.
    """

    features: Tensor
    residual: Tensor
    places: Tensor
    probability: NDArray[np.float64]
    photo: NDArray[np.int64]
    kind: NDArray[np.str_]
    severity: NDArray[np.float64]
    skipped: int

    def __len__(self) -> int:
        return len(self.photo)


@dataclass(frozen=True)
class CleanFace:
    """One photograph's region and the clean detection in it.

    Attributes:
        row: in the photo set. region: RGB uint8 (160, 160, 3), undegraded.
        target: float64 (14,), in pixels of the region. corner: (2,) and side of the clean crop, likewise.
    """

    row: int
    region: NDArray[np.uint8]
    target: Tensor
    corner: NDArray[np.float64]
    side: float


def make_examples(
    photos: PhotoSet,
    landmarks: Landmarks,
    stage: LastStage,
    options: VersionOptions | None = None,
    show: bool | None = None,
) -> Examples:
    """All versions of all photographs of the set in which a face was found; ``landmarks`` as found by the detector.

    The target is what the last stage says of the clean crop around the detected points, which is never one of the
    versions. Raises InputError when there is no face at all.
    """
    options = options or VersionOptions()
    parts: list[Part] = []
    used = 0
    with bar("versions", len(photos), show=show) as progress, ThreadPoolExecutor(2) as pool:
        for start in range(0, len(photos), _CHUNK):
            rows = range(start, min(start + _CHUNK, len(photos)))
            faces = clean_faces(photos, landmarks, stage, rows, pool)
            used += len(faces)
            every = range(options.versions if faces else 0)
            parts += [_one_version(photos, faces, stage, version, options) for version in every]
            progress.update(len(rows))
    if not parts:
        raise InputError(f"{photos.root}: expected photographs with a face, found none in {len(photos)}")
    return _join(parts, len(photos) - used)


def clean_faces(
    photos: PhotoSet, landmarks: Landmarks, stage: LastStage, rows: Sequence[int], pool: ThreadPoolExecutor
) -> list[CleanFace]:
    """The regions and clean detections of some photographs; those without a face are left out."""
    found = [row for row in rows if landmarks.state[row] == 0]
    images = list(pool.map(read_or_none, [photos.paths[row] for row in found]))
    kept = [(row, image) for row, image in zip(found, images, strict=True) if image is not None]
    if not kept:
        return []
    corner, side = (np.round(v) for v in face_squares(landmarks.points[[row for row, _ in kept]]))
    output = stage.look([image for _, image in kept], corner, side)
    target = to_pixels(output.places, corner, side)
    faces = [
        _clean_face(row, image, target[i], corner[i], float(side[i]))
        for i, (row, image) in enumerate(kept)
        if output.probability[i] > FOUND
    ]
    return faces


def _clean_face(
    row: int, image: NDArray[np.uint8], target: Tensor, corner: NDArray[np.float64], side: float
) -> CleanFace:
    wide = round(_AROUND * side)
    start = np.round(corner + side / 2 - wide / 2)
    zoom = REGION / wide
    inside = to_sides(target[None], start[None], np.array([wide]))[0] * REGION
    return CleanFace(row, square_patch(image, start, wide, REGION), inside, (corner - start) * zoom, side * zoom)


def _one_version(
    photos: PhotoSet, faces: Sequence[CleanFace], stage: LastStage, version: int, options: VersionOptions
) -> Part:
    """The version of that number of every face: its row, degradation, answer and residual."""
    names = [f"{photos.ids[face.row]}#{version}" for face in faces]
    what = [draw_degradation(options.seed, name) if version else CLEAN for name in names]
    images = [degrade(face.region, kind) for face, kind in zip(faces, what, strict=True)]
    squares = [moved_square(face, name, options) for face, name in zip(faces, names, strict=True)]
    corner, side = np.stack([square[0] for square in squares]), np.array([square[1] for square in squares])
    output = stage.look(images, corner, side)
    target = to_sides(torch.stack([face.target for face in faces]), corner, side)
    return [face.row for face in faces], what, output, (target - output.places.double()).float()


def moved_square(face: CleanFace, name: str, options: VersionOptions) -> tuple[NDArray[np.float64], float]:
    """The clean crop, moved and scaled at random (uniform; uniform in the logarithm): corner (2,), side; whole pixels.

    Depends on the seed and ``name`` alone.
    """
    rng = np.random.default_rng([image_seed(options.seed, name), 2])
    side = np.round(face.side * options.scale ** rng.uniform(-1.0, 1.0))
    centre = face.corner + face.side * (0.5 + rng.uniform(-options.shift, options.shift, 2))
    return np.round(centre - side / 2), float(side)


def _join(parts: Sequence[Part], skipped: int) -> Examples:
    kinds = [kind for _, what, _, _ in parts for kind in what]
    return Examples(
        features=torch.cat([output.features for _, _, output, _ in parts]),
        residual=torch.cat([residual for _, _, _, residual in parts]),
        places=torch.cat([output.places for _, _, output, _ in parts]),
        probability=torch.cat([output.probability for _, _, output, _ in parts]).double().numpy(),
        photo=np.array([row for rows, _, _, _ in parts for row in rows]),
        kind=np.array([kind.kind for kind in kinds]),
        severity=np.array([np.nan if kind.kind == "none" else kind.severity for kind in kinds]),
        skipped=skipped,
    )
