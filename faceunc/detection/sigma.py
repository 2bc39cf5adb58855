"""Sigma of faces that were found: the last stage looks again at each, and the branch says how far it may be off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.detection.features import COORDINATES, GROUPS, LastStage
from faceunc.detection.store import SHIPPED, StoredBranch, branch_path, load_branch
from faceunc.images.face_score import face_squares


@dataclass(frozen=True)
class PlaceSigma:
    """Sigma of N detections in pixels of their photographs: float32 (N, 14), box x1, y1, x2, y2, then (x, y) by point.

    ``box`` and ``landmarks``, (N,): root mean square over the coordinates of each.
    """

    sigma: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.sigma)

    @property
    def box(self) -> NDArray[np.float32]:
        """One number a box."""
        return self._mean("box")

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """One number a face."""
        return self._mean("landmarks")

    def _mean(self, group: str) -> NDArray[np.float32]:
        square = self.sigma[:, GROUPS[group]].astype(np.float64) ** 2
        return np.asarray(np.sqrt(square.mean(axis=1)), np.float32)


class DetectorSigma:
    """Says how uncertain MTCNN's detections are.

    Args:
        stored: a branch from disk.

    Raises:
        IncompatibleError: when it was trained on other weights than this installation's.
    """

    def __init__(self, stored: StoredBranch) -> None:
        self._stage = LastStage()
        stored.check_stage(self._stage)
        self.stored = stored

    @property
    def name(self) -> str:
        """Identifies it in meta: name and start of the file's hash."""
        return f"{self.stored.name} {self.stored.sha256[:16]}"

    @torch.no_grad()
    def __call__(self, images: Sequence[NDArray[np.uint8]], points: NDArray[np.floating]) -> PlaceSigma:
        """Sigma of one detection in each RGB uint8 image (H, W, 3).

        The last stage sees the square that MTCNN would draw around the points, as in training; the whole detector's own
        last crop differs a little from it.

        Args:
            points: (N, 5, 2), the detected landmarks, in the image's pixels.
        """
        if not len(images):
            return PlaceSigma(np.empty((0, COORDINATES), np.float32))
        corner, side = (np.round(values) for values in face_squares(points))
        log_var = self.stored.branch(self._stage.look(images, corner, side).features).numpy()
        return PlaceSigma((np.exp(0.5 * log_var) * side[:, None]).astype(np.float32))


def load_detector_sigma(name: str | Path = SHIPPED) -> DetectorSigma:
    """The shipped one ("mtcnn-sigma"), or one of your own by path.

    Raises:
        InputError: unknown name, missing or damaged file. IncompatibleError: trained on another O-Net.
    """
    return DetectorSigma(load_branch(branch_path(name)))
