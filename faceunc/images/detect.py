"""MTCNN face detection in batches, and the choice of the one face of a photograph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.errors import InputError

SELECTIONS = ("largest", "central")


@dataclass(frozen=True)
class Detection:
    """The chosen face of one photograph, in its pixels.

    Attributes:
        landmarks: float32 (5, 2), (x, y) of eyes, nose, mouth corners, image left first.
        box: float32 (4,), x1, y1, x2, y2.
        score: the detector's probability of a face, in [0, 1].
        faces: how many faces the photograph holds.
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
    """facenet-pytorch's MTCNN. Photographs of one size go through it together.

    Args:
        select: which face counts when there are several: "largest", or "central" (nearest to the centre: LFW's rule).
        min_face_size: smallest face side that is looked for, in pixels of the searched image.
        max_side: larger photographs are searched at this side length (and their landmarks scaled back).
        batch_size: photographs a pass.
    """

    def __init__(
        self, select: str = "largest", min_face_size: int = 40, max_side: int = 1280, batch_size: int = 40
    ) -> None:
        if select not in SELECTIONS:
            raise InputError(f"select must be one of {', '.join(SELECTIONS)}. Got {select!r} instead.")
        from facenet_pytorch import MTCNN

        self.select, self.min_face_size, self.max_side, self.batch_size = select, min_face_size, max_side, batch_size
        self._mtcnn = MTCNN(keep_all=True, min_face_size=min_face_size, device="cpu").eval()

    @property
    def name(self) -> str:
        """Identifies detector and settings in meta and cache keys."""
        return f"mtcnn-{self.select}-{self.min_face_size}-{self.max_side}"

    def smallest(self, width: int, height: int) -> int:
        """Side in its own pixels of the smallest face that is looked for in a photograph of this size."""
        return round(self.min_face_size * max(1.0, max(width, height) / self.max_side))

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Detection | None]:
        """Find the face of each RGB uint8 photograph (H, W, 3); None where there is none. Order is kept."""
        groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, image in enumerate(images):
            groups[image.shape].append(index)
        found: list[Detection | None] = [None] * len(images)
        for indices in groups.values():
            for start in range(0, len(indices), self.batch_size):
                part = indices[start : start + self.batch_size]
                for index, detection in zip(part, self._detect([images[i] for i in part]), strict=True):
                    found[index] = detection
        return found

    @torch.no_grad()
    def _detect(self, images: list[NDArray[np.uint8]]) -> list[Detection | None]:
        """One batch of photographs of one size."""
        height, width = images[0].shape[:2]
        scale = min(1.0, self.max_side / max(height, width))
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8) for image in images]
        if min(images[0].shape[:2]) < self.min_face_size:
            return [None] * len(images)
        # facenet-pytorch writes into its input: the stack is a copy of ours.
        boxes, scores, points = self._mtcnn.detect(np.stack(images), landmarks=True)
        return [self._choose(b, s, p, scale, (width, height)) for b, s, p in zip(boxes, scores, points, strict=True)]

    def _choose(
        self,
        boxes: NDArray[np.float32] | None,
        scores: NDArray[np.float32],
        points: NDArray[np.float32],
        scale: float,
        size: tuple[int, int],
    ) -> Detection | None:
        if boxes is None or len(boxes) == 0:
            return None
        box = np.asarray(boxes, np.float32) / scale
        if self.select == "largest":
            best = int(np.argmax((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])))
        else:
            centres = (box[:, :2] + box[:, 2:]) / 2
            best = int(np.argmin(((centres - np.array(size) / 2) ** 2).sum(1)))
        landmarks = np.asarray(points[best], np.float32) / np.float32(scale)
        return Detection(landmarks, box[best], float(scores[best]), len(box))
