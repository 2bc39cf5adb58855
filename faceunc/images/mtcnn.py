"""MTCNN's search for faces (Zhang et al., IEEE SPL 2016) with the weights and the arithmetic of facenet-pytorch.

facenet-pytorch cuts and scales the candidates of its second and third stage one by one and runs its networks with the
channels in planes. Here all candidates of a photograph are cut at once (:mod:`faceunc.images.mtcnn_windows`) and the
networks run channels-last: the same faces to float rounding, several times faster. tests/images/test_mtcnn.py compares
both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceunc.images.mtcnn_windows import Windows

THRESHOLDS = (0.6, 0.7, 0.7)  # facenet-pytorch's
OVERLAPS = (0.7, 0.7)  # facenet-pytorch's
_CELL = 12  # what the first network sees, in pixels of a pyramid's level
_FACTOR = 0.709  # from one level to the next
_CHUNKS = (0, 128, 48)  # candidates a pass of the second and third network: activations stay in the processor's cache


@dataclass(frozen=True)
class Faces:
    """All faces of one photograph, in its pixels.

    Attributes:
        boxes: float32 (F, 4), x1, y1, x2, y2. scores: float32 (F,). points: float32 (F, 5, 2), (x, y).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    points: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.boxes)


@dataclass
class _Candidates:
    """Squares (K, 5), x1, y1, x2, y2, score, and the number of the photograph of each (K,)."""

    boxes: Tensor
    photo: Tensor

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Tensor) -> _Candidates:
        return _Candidates(self.boxes[rows], self.photo[rows])


class Mtcnn:
    """The three networks and what lies between them.

    Args:
        min_face_size: smallest face side that is looked for, in pixels.
        thresholds: least score of a candidate after each of the three networks.
        overlaps: after the first and second network, of candidates whose intersection over union is larger only the
            best stays. Small ones leave about one candidate a face: quick, and the last network has less to choose
            from.
    """

    def __init__(
        self,
        min_face_size: int = 40,
        thresholds: tuple[float, float, float] = THRESHOLDS,
        overlaps: tuple[float, float] = OVERLAPS,
    ) -> None:
        from facenet_pytorch import MTCNN

        networks = MTCNN(device="cpu").eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._networks: tuple[nn.Module, nn.Module, nn.Module] = (networks.pnet, networks.rnet, networks.onet)
        self.min_face_size, self.thresholds, self.overlaps = min_face_size, thresholds, overlaps

    @torch.no_grad()
    def __call__(self, photos: NDArray[np.uint8], smallest: float | None = None) -> list[Faces]:
        """Search RGB uint8 photographs of one size, (N, H, W, 3), for faces of ``smallest`` pixels or more (None:
        ``min_face_size``)."""
        windows = Windows(photos)
        found = _visible(windows, self._propose(windows, smallest or self.min_face_size))
        if len(found):
            found = _visible(windows, self._refine(windows, found))
        if not len(found):
            return [_no_faces() for _ in photos]
        return self._judge(windows, found)

    def _propose(self, windows: Windows, smallest: float) -> _Candidates:
        """First stage: squares that may hold a face."""
        from facenet_pytorch.models.utils.detect_face import generateBoundingBox

        levels, numbers = [], []
        for scale in _scales(windows.height, windows.width, smallest):
            level = windows.whole(int(windows.height * scale + 1), int(windows.width * scale + 1))
            offsets, scores = self._networks[0](level)
            boxes, photo = generateBoundingBox(offsets, scores[:, 1], scale, self.thresholds[0])
            keep = _suppress(boxes, photo, 0.5)
            levels.append(boxes[keep])
            numbers.append(photo[keep])
        if not levels:
            return _Candidates(torch.empty(0, 5), torch.empty(0, dtype=torch.int64))
        boxes, photo = torch.cat(levels), torch.cat(numbers)
        keep = _suppress(boxes, photo, self.overlaps[0])
        boxes, photo = boxes[keep], photo[keep]
        sides = (boxes[:, 2:4] - boxes[:, :2]).repeat(1, 2)
        places = boxes[:, :4] + boxes[:, 5:9] * sides
        return _Candidates(torch.cat([_square(places), boxes[:, 4:5]], 1), photo)

    def _refine(self, windows: Windows, found: _Candidates) -> _Candidates:
        """Second stage: most candidates go, the others move."""
        offsets, scores = self._look(windows, found, 24, 1)
        good = scores[:, 1] > self.thresholds[1]
        found, offsets = found[good], offsets[good]
        found.boxes[:, 4] = scores[good, 1]
        keep = _suppress(found.boxes, found.photo, self.overlaps[1])
        found, offsets = found[keep], offsets[keep]
        places = _moved(found.boxes[:, :4], offsets)
        return _Candidates(torch.cat([_square(places), found.boxes[:, 4:]], 1), found.photo)

    def _judge(self, windows: Windows, found: _Candidates) -> list[Faces]:
        """Third stage: the faces with their points."""
        from facenet_pytorch.models.utils.detect_face import batched_nms_numpy

        offsets, points, scores = self._look(windows, found, 48, 2)
        good = scores[:, 1] > self.thresholds[2]
        found, offsets, points, score = found[good], offsets[good], points[good], scores[good, 1]
        places = found.boxes[:, :4]
        sides = places[:, 2:] - places[:, :2] + 1
        points = points.view(-1, 2, 5).transpose(1, 2) * sides[:, None] + places[:, None, :2] - 1
        boxes = _moved(places, offsets)
        keep = batched_nms_numpy(boxes, score, found.photo, 0.7, "Min")
        photo, arrays = found.photo[keep].numpy(), [t[keep].numpy() for t in (boxes, score, points)]
        return [Faces(*(array[photo == number] for array in arrays)) for number in range(windows.count)]

    def _look(self, windows: Windows, found: _Candidates, side: int, stage: int) -> tuple[Tensor, ...]:
        """What a network says of these candidates."""
        boxes, photo, parts = _inside(windows, found), found.photo.numpy(), []
        for start in range(0, len(boxes), _CHUNKS[stage]):
            rows = slice(start, start + _CHUNKS[stage])
            crops = windows.crops(photo[rows], boxes[rows], side)
            parts.append(self._networks[stage](crops))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def _scales(height: int, width: int, smallest: float) -> list[float]:
    """Of the pyramid's levels: at the first, a face of ``smallest`` pixels is as large as a cell."""
    scales, scale = [], _CELL / smallest
    side = min(height, width) * scale
    while side >= _CELL:
        scales.append(scale)
        scale, side = scale * _FACTOR, side * _FACTOR
    return scales


def _suppress(boxes: Tensor, photo: Tensor, overlap: float) -> Tensor:
    """Non-maximum suppression within each photograph: the rows that stay, the best first."""
    from torchvision.ops import batched_nms  # type: ignore[import-untyped]

    suppress: Callable[..., Tensor] = batched_nms
    return suppress(boxes[:, :4], boxes[:, 4], photo, overlap)


def _square(boxes: Tensor) -> Tensor:
    """The squares (K, 4) around the middles of boxes (K, 4), with their longer sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(dim=1, keepdim=True).values
    corner = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return torch.cat([corner, corner + longer], 1)


def _moved(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (K, 4) moved by a network's offsets (K, 4), in units of their sides."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * sides.repeat(1, 2)


def _visible(windows: Windows, found: _Candidates) -> _Candidates:
    """Those candidates that reach into their photograph, photograph by photograph."""
    boxes = _inside(windows, found)
    rows = np.flatnonzero((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))
    return found[torch.from_numpy(rows[np.argsort(found.photo.numpy()[rows], kind="stable")])]


def _inside(windows: Windows, found: _Candidates) -> NDArray[np.int64]:
    """Whole pixels x1, y1, x2, y2 (K, 4), the part that lies in the photograph. MTCNN counts pixels from 1."""
    whole = found.boxes[:, :4].trunc().to(torch.int64).numpy()
    first = np.maximum(whole[:, :2], 1) - 1
    last = np.minimum(whole[:, 2:], (windows.width, windows.height))
    return np.concatenate([first, last], 1)


def _no_faces() -> Faces:
    return Faces(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty((0, 5, 2), np.float32))
