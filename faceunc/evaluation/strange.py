"""Chips of what a face model has not seen: textures, drawings and writing of scikit-image, and faces upside down."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Chips = NDArray[np.uint8]
_TEXTURES = ("brick", "grass", "gravel", "coins", "moon", "immunohistochemistry")
_DRAWINGS = ("page", "text", "horse", "checkerboard", "colorwheel", "logo")


def texture_chips(count: int, side: int, seed: int) -> Chips:
    """Random squares of brick, grass, gravel, coins, moon and tissue, uint8 (count, side, side, 3)."""
    return _crops(_TEXTURES, count, side, seed)


def drawing_chips(count: int, side: int, seed: int) -> Chips:
    """Random squares of a printed page, writing, a silhouette, a chessboard, a colour wheel and a logo."""
    return _crops(_DRAWINGS, count, side, seed)


def upside_down(chips: Chips) -> Chips:
    """Turned by 180 degrees."""
    return np.ascontiguousarray(chips[:, ::-1, ::-1])


def _crops(names: tuple[str, ...], count: int, side: int, seed: int) -> Chips:
    """Squares of 40 to 100% of the shorter side, from anywhere in the images, which take turns."""
    import cv2
    from skimage import data

    from faceunc.images.read import as_rgb

    rng = np.random.default_rng([seed, 17])
    images = [as_rgb(_bytes(getattr(data, name)())) for name in names]
    out = np.empty((count, side, side, 3), np.uint8)
    for number in range(count):
        image = images[number % len(images)]
        size = int(min(image.shape[:2]) * rng.uniform(0.4, 1.0))
        top, left = (int(rng.integers(0, length - size + 1)) for length in image.shape[:2])
        crop = image[top : top + size, left : left + size]
        how = cv2.INTER_AREA if size >= side else cv2.INTER_LINEAR
        out[number] = cv2.resize(crop, (side, side), interpolation=how)
    return out


def _bytes(image: NDArray[np.generic]) -> NDArray[np.generic]:
    return image.astype(np.uint8) * np.uint8(255) if image.dtype == bool else image
