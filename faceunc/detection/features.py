"""MTCNN's last stage, frozen, with the features that its answers are read from.

All places are 14 numbers: the box (x1, y1, x2, y2), then (x, y) of eyes, nose and mouth corners, image left first.
Relative ones are in units of the crop's side, from its upper left corner, so that the crop's own box is (0, 0, 1, 1).
Pixels are counted from 0 at the outer edge of the image: MTCNN's own boxes lie 1 px further to the lower right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceunc.images.face_score import network_input, square_patch

FEATURES, COORDINATES = 256, 14
GROUPS = {"box": slice(0, 4), "landmarks": slice(4, 14)}
_WHOLE = torch.tensor([0.0, 0.0, 1.0, 1.0])
_BATCH = 512


@dataclass(frozen=True)
class StageOutput:
    """What the last stage says of N crops.

    Attributes:
        features: (N, 256), what all its answers are linear functions of.
        places: (N, 14), box and points in units of the crop's side.
        probability: (N,), of a face; MTCNN reports one above .7.
    """

    features: Tensor
    places: Tensor
    probability: Tensor

    def __len__(self) -> int:
        return len(self.probability)


class LastStage:
    """O-Net of facenet-pytorch, which sees 48 x 48 pixels. Its weights are never changed."""

    def __init__(self) -> None:
        from facenet_pytorch import MTCNN

        self._network: nn.Module = MTCNN(device="cpu").eval().onet

    @property
    def sha256(self) -> str:
        """Hash of names, shapes and values of its weights: branches belong to exactly these."""
        total = hashlib.sha256()
        for name, value in sorted(self._network.state_dict().items()):
            total.update(f"{name} {tuple(value.shape)} {value.dtype}\0".encode())
            total.update(value.contiguous().numpy().tobytes())
        return total.hexdigest()

    def look(
        self, images: Sequence[NDArray[np.uint8]], corner: NDArray[np.floating], side: NDArray[np.floating]
    ) -> StageOutput:
        """Judge one square of each RGB uint8 image (H, W, 3); black is what lies outside.

        Args:
            corner: (N, 2), upper left (x, y) of each square. side: (N,). Both in whole pixels.
        """
        squares = zip(images, np.asarray(corner, np.float64), side, strict=True)
        patches = [square_patch(image, place, float(size)) for image, place, size in squares]
        return self(np.stack(patches) if patches else np.empty((0, 48, 48, 3), np.uint8))

    @torch.no_grad()
    def __call__(self, patches: NDArray[np.uint8]) -> StageOutput:
        """Judge patches, RGB uint8 (N, 48, 48, 3)."""
        if patches.ndim != 4 or patches.shape[1:] != (48, 48, 3) or patches.dtype != np.uint8:
            raise ValueError(f"patches must be uint8 (N, 48, 48, 3). Got {patches.dtype} {patches.shape} instead.")
        parts = [self._run(patches[start : start + _BATCH]) for start in range(0, len(patches), _BATCH)]
        if not parts:
            return StageOutput(torch.empty(0, FEATURES), torch.empty(0, COORDINATES), torch.empty(0))
        columns = ([getattr(p, name) for p in parts] for name in ("features", "places", "probability"))
        return StageOutput(*(torch.cat(column) for column in columns))

    def _run(self, patches: NDArray[np.uint8]) -> StageOutput:
        seen: list[Tensor] = []
        hook = self._network.get_submodule("prelu5").register_forward_hook(lambda _, __, output: seen.append(output))
        try:
            offsets, points, probability = self._network(network_input(patches))
        finally:
            hook.remove()
        flat = points.view(-1, 2, 5).transpose(1, 2).flatten(1)
        return StageOutput(seen[0], torch.cat([_WHOLE + offsets, flat], dim=1), probability[:, 1])


def to_pixels(places: Tensor, corner: NDArray[np.floating], side: NDArray[np.floating]) -> Tensor:
    """Relative places (N, 14) in crops with these corners (N, 2) and sides (N,), as pixels of the image, float64."""
    start, size = _tensors(corner, side)
    return places.double() * size + start


def to_sides(places: Tensor, corner: NDArray[np.floating], side: NDArray[np.floating]) -> Tensor:
    """The inverse of :func:`to_pixels`."""
    start, size = _tensors(corner, side)
    return (places.double() - start) / size


def _tensors(corner: NDArray[np.floating], side: NDArray[np.floating]) -> tuple[Tensor, Tensor]:
    start = torch.from_numpy(np.tile(np.asarray(corner, np.float64), (1, COORDINATES // 2)))
    return start, torch.from_numpy(np.asarray(side, np.float64))[:, None]
