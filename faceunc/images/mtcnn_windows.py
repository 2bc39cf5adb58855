"""Average pixels over boxes of photographs, as MTCNN's networks see them: many boxes at once, pixels added up once.

facenet-pytorch scales pyramids and crops with ``interpolate(mode="area")``: output pixel i of n is the mean of the
input pixels from floor(i s / n) to ceil((i + 1) s / n), s the side of the box. A summed-area table gives the sum of any
such window from four of its entries. The sums are whole numbers, so this is exact: only the division rounds.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_INT32_PIXELS = (2**31 - 1) // 255  # of the largest photograph whose sums fit


class Windows:
    """Equal-sized photographs from which networks are fed.

    Args:
        photos: RGB uint8 (N, H, W, 3).
    """

    def __init__(self, photos: NDArray[np.uint8]) -> None:
        self.photos = photos
        self.count, self.height, self.width = photos.shape[:3]

    @cached_property
    def _tables(self) -> list[NDArray[np.generic]]:
        """Each photograph's sums over everything above and to the left: ((H + 1) (W + 1), 3)."""
        depth = cv2.CV_32S if self.height * self.width <= _INT32_PIXELS else cv2.CV_64F
        return [cv2.integral(photo, sdepth=depth).reshape(-1, 3) for photo in self.photos]

    def whole(self, height: int, width: int) -> Tensor:
        """Every photograph as a whole at this size: float32 (N, 3, height, width), see :func:`_to_input`."""
        y = _edges(np.array([0]), np.array([self.height]), height)
        x = _edges(np.array([0]), np.array([self.width]), width)
        return _to_input(np.concatenate([self._means(table, y, x) for table in self._tables]))

    def crops(self, photo: NDArray[np.int64], boxes: NDArray[np.int64], side: int) -> Tensor:
        """Boxes at ``side`` x ``side`` pixels: float32 (K, 3, side, side), see :func:`_to_input`.

        Args:
            photo: (K,), number of each box's photograph. boxes: (K, 4), x1, y1, x2, y2 in whole pixels, the last ones
                exclusive; inside of the photograph and not empty.
        """
        out = np.empty((len(boxes), side, side, 3), np.float32)
        for number in np.unique(photo):
            rows = np.flatnonzero(photo == number)
            x1, y1, x2, y2 = boxes[rows].T
            out[rows] = self._means(self._tables[number], _edges(y1, y2, side), _edges(x1, x2, side))
        return _to_input(out)

    def _means(
        self, table: NDArray[np.generic], y: tuple[NDArray[np.int64], ...], x: tuple[NDArray[np.int64], ...]
    ) -> NDArray[np.float32]:
        """Mean over windows: y and x hold starts (K, n) and ends (K, m) of rows and columns; (K, n, m, 3)."""
        (top, bottom), (left, right) = ((edge[:, :, None] for edge in y), (edge[:, None, :] for edge in x))
        above, below = top * (self.width + 1), bottom * (self.width + 1)
        total = table.take(below + right, axis=0)
        total -= table.take(above + right, axis=0)
        total -= table.take(below + left, axis=0)
        total += table.take(above + left, axis=0)
        area = ((bottom - top) * (right - left)).astype(np.float32)
        return np.asarray(total.astype(np.float32) / area[..., None], np.float32)


def _edges(start: NDArray[np.int64], end: NDArray[np.int64], parts: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and one past the last pixel of each of ``parts`` windows of K stretches: two arrays (K, parts)."""
    length, step = (end - start)[:, None], np.arange(parts + 1)[None]
    first = step[:, :-1] * length // parts
    last = -(-step[:, 1:] * length // parts)
    return start[:, None] + first, start[:, None] + last


def _to_input(pixels: NDArray[np.float32]) -> Tensor:
    """Mean pixels (K, h, w, 3), which it writes into, as MTCNN's networks take them: channels-last in memory, about
    -1 to 1."""
    pixels -= np.float32(127.5)
    pixels *= np.float32(0.0078125)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)
