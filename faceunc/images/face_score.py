"""The detector's last word on a face whose place is known: a score and five points from MTCNN's last stage alone.

A search of the whole picture costs many times more, and finds nothing new where an annotation says where the face is:
frames of a video, crops of a protocol, degraded versions of one photograph.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

FOUND = 0.7  # MTCNN's own threshold of its last stage
INPUT = 48  # side of what it sees, in pixels
# Medians over MTCNN's detections on LFW: the side of the square box in units of the points' root mean square distance
# from their mean, and the box's centre relative to that mean, in sides.
_SIDE, _OFFSET = 4.554, np.array([-0.0124, -0.0710])


class FaceScorer:
    """MTCNN's output network on given faces."""

    def __init__(self) -> None:
        from facenet_pytorch import MTCNN

        self._network = MTCNN(device="cpu").eval().onet

    @torch.no_grad()
    def __call__(
        self, images: Sequence[NDArray[np.uint8]], points: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Judge one face in each RGB uint8 image (H, W, 3).

        Args:
            points: (N, 5, 2), roughly where its eyes, nose and mouth corners lie, in the image's pixels.

        Returns:
            The detector's probability of a face (N,), below :data:`FOUND` it would not report one; and its own five
            points, float32 (N, 5, 2).
        """
        if not len(images):
            return np.empty(0, np.float32), np.empty((0, 5, 2), np.float32)
        corner, side = (np.round(values) for values in face_squares(points))  # whole pixels, for both ways
        patches = np.stack([square_patch(i, c, s) for i, c, s in zip(images, corner, side, strict=True)])
        _, places, probability = self._network(network_input(patches))
        relative = places.view(-1, 2, 5).transpose(1, 2).numpy()
        found = relative * side[:, None, None] + corner[:, None]
        return probability[:, 1].numpy(), found.astype(np.float32)


def face_squares(points: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The square that MTCNN would draw around faces with these points (N, 5, 2): upper left corners (N, 2), sides."""
    places = np.asarray(points, np.float64)
    centre = places.mean(axis=1)
    side = _SIDE * np.sqrt(((places - centre[:, None]) ** 2).sum(axis=(1, 2)) / 5)
    side = np.maximum(side, 1.0)
    return centre + (_OFFSET - 0.5) * side[:, None], side


def network_input(patches: NDArray[np.uint8]) -> torch.Tensor:
    """RGB uint8 patches (N, S, S, 3) as MTCNN's networks take them: float32 (N, 3, S, S) in about [-1, 1]."""
    return torch.from_numpy(patches).permute(0, 3, 1, 2).float().sub(127.5).mul(0.0078125)


def square_patch(
    image: NDArray[np.uint8], corner: NDArray[np.float64], side: float, out: int = INPUT
) -> NDArray[np.uint8]:
    """The square of whole pixels cut out, black where it leaves the image, at ``out`` x ``out`` pixels.

    Only what is visible is ever scaled, so a square of any size takes no memory.
    """
    patch = np.zeros((out, out, 3), np.uint8)
    size, (left, top) = int(side), (int(value) for value in corner)
    x1, x2 = max(0, left), min(image.shape[1], left + size)
    y1, y2 = max(0, top), min(image.shape[0], top + size)
    if x1 >= x2 or y1 >= y2:
        return patch
    columns = slice(*(round((x - left) * out / size) for x in (x1, x2)))
    rows = slice(*(round((y - top) * out / size) for y in (y1, y2)))
    width, height = columns.stop - columns.start, rows.stop - rows.start
    if width and height:
        how = cv2.INTER_AREA if size >= out else cv2.INTER_LINEAR
        patch[rows, columns] = cv2.resize(image[y1:y2, x1:x2], (width, height), interpolation=how)
    return patch
