"""MTCNN face detection in batches, and the choice of the one face of a photograph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.images.mtcnn import THRESHOLDS, Faces, Mtcnn
from faceunc.threads import in_order

SELECTIONS = ("largest", "central")


@dataclass(frozen=True)
class Recipe:
    """How a detector searches.

    Attributes:
        thresholds: least score of a candidate after each of MTCNN's three stages.
        large_first: whether it looks for one large face first, and for others only where there is none.
    """

    thresholds: tuple[float, float, float] = THRESHOLDS
    large_first: bool = False


DETECTORS = {
    "mtcnn": Recipe(),
    "mtcnn-fast": Recipe((0.9, 0.8, 0.7)),
    "mtcnn-cropped": Recipe(large_first=True),
}
"""How each detector searches, by its name. Figures: LFW's 13,233 photographs against "mtcnn", which finds what
facenet-pytorch's MTCNN finds (eval/results/speed-extraction-detectors.txt, also for speed and smaller tables).

"mtcnn-fast" drops most candidates before the second stage. No face is missed, another is taken for the largest in 87
(for the central one in 2); landmarks move by a median of 0 px, in 99% of the photographs by at most 4.1.

"mtcnn-cropped" is for photographs cropped around one face. It looks for large faces first, of at least 0.3 of the
shorter side, with about one candidate a face. It stops where the chosen one scores at least 0.9 and stands out: the
next is at most 0.8 of its side ("largest"), or it lies within a quarter of its side of the centre ("central"). Every
other photograph is searched in full, at more than the cost of "mtcnn". No face is missed, one is added, another is
taken for the largest in 63 (for the central one in 1); landmarks move by a median of 1.1 px, in 99% by at most 4.2.
``Detection.faces`` does not count small faces then: more than one in 1,363 photographs instead of 1,891. The
thresholds were chosen on a part of LFW.
"""
_LARGE = 0.3  # least side of a large face, of the photograph's shorter side
_LARGE_OVERLAPS = (0.3, 0.3)  # about one candidate a face
_SURE = 0.9  # least score of a large face that ends the search
_NEXT = 0.8  # largest side of the next face, of its own
_CENTRAL = 0.25  # of its side: how far the middle of such a face may be from that of the photograph
_PASS = 20  # photographs a pass
_PASS_PIXELS = 4_000_000


@dataclass(frozen=True)
class Detection:
    """The chosen face of one photograph, in its pixels.

    Attributes:
        landmarks: float32 (5, 2), (x, y) of eyes, nose, mouth corners, image left first.
        box: float32 (4,), x1, y1, x2, y2.
        score: the detector's probability of a face, in [0, 1].
        faces: how many faces were found in the photograph; where "mtcnn-cropped" did not search it in full, how many
            large ones.
    """

    landmarks: NDArray[np.float32]
    box: NDArray[np.float32]
    score: float
    faces: int

    @property
    def size(self) -> float:
        """Side of the face in pixels of the photograph: square root of the box's area."""
        return float(np.sqrt(max(0.0, (self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))))


class FaceDetector:
    """MTCNN with facenet-pytorch's weights. Photographs of one size go through it together.

    Args:
        select: which face counts when there are several: "largest", or "central" (nearest to the centre: LFW's rule).
        min_face_size: smallest face side that is looked for, in pixels of the searched image.
        max_side: larger photographs are searched at this side length (and their landmarks scaled back).
        batch_size: photographs a call that use all threads well; passes are smaller.
        kind: one of :data:`DETECTORS`.
    """

    def __init__(
        self,
        select: str = "largest",
        min_face_size: int = 40,
        max_side: int = 1280,
        batch_size: int = 40,
        kind: str = "mtcnn",
    ) -> None:
        if select not in SELECTIONS:
            raise InputError(f"select must be one of {', '.join(SELECTIONS)}. Got {select!r} instead.")
        if kind not in DETECTORS:
            raise InputError(f"detector must be one of {', '.join(DETECTORS)}. Got {kind!r} instead.")
        self.select, self.min_face_size, self.max_side, self.batch_size = select, min_face_size, max_side, batch_size
        self.kind = kind
        recipe = DETECTORS[kind]
        self._mtcnn = Mtcnn(min_face_size, recipe.thresholds)
        self._large = Mtcnn(min_face_size, recipe.thresholds, _LARGE_OVERLAPS) if recipe.large_first else None

    @property
    def name(self) -> str:
        """Identifies detector and settings in meta and cache keys."""
        return f"{self.kind}-{self.select}-{self.min_face_size}-{self.max_side}"

    def smallest(self, width: int, height: int) -> int:
        """Side in its own pixels of the smallest face that is looked for in a photograph of this size."""
        return round(self.min_face_size * max(1.0, max(width, height) / self.max_side))

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
        """Find the face of each RGB uint8 photograph (H, W, 3); None where there is none. Order is kept."""
        passes = _passes(images, self.batch_size)
        batches = [[images[index] for index in part] for part in passes]
        found: list[Detection | None] = [None] * len(images)
        for part, detections in zip(passes, in_order(self._detect, batches), strict=True):
            for index, detection in zip(part, detections, strict=True):
                found[index] = detection
        return found

    def _detect(self, images: list[NDArray[np.uint8]]) -> list[Detection | None]:
        """One pass: photographs of one size."""
        height, width = images[0].shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8) for image in images]
        if min(images[0].shape[:2]) < self.min_face_size:
            return [None] * len(images)
        photos = np.stack(images)
        found = self._sure(photos, scale, (width, height))
        rest = [number for number, face in enumerate(found) if face is None]
        if rest:
            left = photos if len(rest) == len(photos) else photos[rest]
            for number, faces in zip(rest, self._mtcnn(left), strict=True):
                found[number] = self._choose(faces, scale, (width, height))
        return found

    def _sure(self, photos: NDArray[np.uint8], scale: float, size: tuple[int, int]) -> list[Detection | None]:
        """Large faces that make a search for others needless; None where there is none, or where none is looked for.

        A face that is not looked for here is smaller, but for errors of the boxes; one nearer to the centre would have
        its middle on this one.
        """
        if self._large is None:
            return [None] * len(photos)
        side = max(self.min_face_size, _LARGE * min(photos.shape[1:3]))
        found: list[Detection | None] = []
        for faces in self._large(photos, side):
            face = self._choose(faces, scale, size)
            sure = face is not None and face.score >= _SURE and face.size * scale >= side
            found.append(face if sure and self._stands_out(face, faces, scale, size) else None)
        return found

    def _stands_out(self, face: Detection | None, faces: Faces, scale: float, size: tuple[int, int]) -> bool:
        """Whether small errors of the boxes cannot make another face the chosen one."""
        if face is None:
            return False
        if self.select == "largest":
            sides = np.sort(np.sqrt((faces.boxes[:, 2:] - faces.boxes[:, :2]).prod(axis=1)))
            return len(sides) == 1 or bool(sides[-2] <= _NEXT * sides[-1])
        return bool(np.hypot(*((face.box[:2] + face.box[2:]) / 2 - np.array(size) / 2)) <= _CENTRAL * face.size)

    def _choose(self, faces: Faces, scale: float, size: tuple[int, int]) -> Detection | None:
        if not len(faces):
            return None
        box = faces.boxes / np.float32(scale)
        if self.select == "largest":
            best = int(np.argmax((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])))
        else:
            centres = (box[:, :2] + box[:, 2:]) / 2
            best = int(np.argmin(((centres - np.array(size) / 2) ** 2).sum(1)))
        landmarks = np.ascontiguousarray(faces.points[best] / np.float32(scale))
        return Detection(landmarks, box[best], float(faces.scores[best]), len(faces))


def _passes(images: Sequence[NDArray[np.uint8]], batch_size: int) -> list[list[int]]:
    """Which photographs go together: of one size, few enough that what MTCNN holds of them stays small."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        groups[image.shape].append(index)
    passes = []
    for (height, width, *_), indices in groups.items():
        count = max(1, min(_PASS, batch_size, _PASS_PIXELS // (height * width)))
        passes += [indices[start : start + count] for start in range(0, len(indices), count)]
    return passes
