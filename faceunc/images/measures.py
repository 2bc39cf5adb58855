"""Simple measurements of one face: how blurred, dark, flat, noisy, compressed, turned it is. Nothing here is learned.

Everything is measured on the standard chip: the face aligned to one template at 150 x 150, whatever the backbone, so
that one reference (:mod:`faceunc.images.diagnose`) serves all of them. It is dlib's template: with dlib's backbone the
standard chip is the very chip that is embedded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.images.align import align_face, similarity_transform
from faceunc.images.texture import blockiness, blur_effect, flat_share, noise_level

STANDARD_SIDE = 150
STANDARD_TEMPLATE = ((48.59, 46.62), (102.49, 46.66), (75.26, 78.95), (51.94, 105.99), (98.89, 106.08))
_FACE = (slice(10, 142), slice(23, 127))  # rows and columns of the standard chip that hold the face
_SPAN = float(np.ptp(np.asarray(STANDARD_TEMPLATE), axis=0).max())  # what the five points span in the standard chip
_GRID = np.stack(np.meshgrid(*(np.linspace(part.start, part.stop, 24) for part in _FACE[::-1]))).reshape(2, -1)
_LEVELS = np.arange(256)
_NAN = float("nan")


@dataclass(frozen=True)
class Measures:
    """Simple measurements of one face; NaN where a measurement is not to be had (no landmarks, no photograph).

    Attributes:
        face_size: side of the detected face in pixels of the photograph.
        blur: perceptual blur in [0, 1], higher = more blurred: how little another blur changes (Crete et al., SPIE
            2007; ``skimage.measure.blur_effect``). Does not depend on contrast and brightness; noise hides blur.
        brightness: mean luma of the face, 0 to 255.
        contrast: range of the luma (5% to 95% quantile) over the room that the brightness leaves (the smaller of mean
            and 255 - mean): 0 for an even surface; making a photograph darker or brighter as a whole keeps it.
        clipped: share of the face's pixels that are as good as black or white (luma to 2, from 253).
        noise: standard deviation of pixel noise in grey levels (Immerkaer, CVIU 1996: mean response of a mask that
            planes and edges do not pass), in the photograph (in the chip where there is no photograph). Noise of a face
            that is larger than its chip counts for as much less as it is averaged away in it.
        blockiness: step at the borders of JPEG's 8 x 8 blocks over the usual step between neighbours; 1 = no blocks.
            The grid may lie anywhere. Measured where the noise is, with the same discount.
        flat: share of the face's ellipse that the largest patch without texture covers. Paint, a mask or a book before
            the face make it large; a hand, hair or glasses do not. A weak sign of occlusion.
        outside: share of the face that lies outside of the photograph.
        asymmetry: one minus the correlation of the face with its mirror image at 24 x 24 pixels, 0 to 2. Grows with
            light from one side, turned heads and half hidden faces alike.
        yaw: how far the nose lies off the line from the middle of the eyes to the middle of the mouth, in units of that
            line's length; 0 = frontal, positive = the nose points to the right of the image. A proxy, no angle.
        pitch: where along that line the nose lies, 0 = at the eyes, 1 = at the mouth; about .57 for a frontal face,
            more = looking down. A proxy, no angle.
        roll: angle of the line from the left to the right eye in the photograph, in degrees, positive = clockwise as
            seen. Alignment takes it out.
    """

    face_size: float = _NAN
    blur: float = _NAN
    brightness: float = _NAN
    contrast: float = _NAN
    clipped: float = _NAN
    noise: float = _NAN
    blockiness: float = _NAN
    flat: float = _NAN
    outside: float = _NAN
    asymmetry: float = _NAN
    yaw: float = _NAN
    pitch: float = _NAN
    roll: float = _NAN

    @property
    def taken(self) -> bool:
        """Whether the face was measured: not where that was left out, or in results of earlier versions."""
        return not math.isnan(self.brightness)


def measure_face(
    photo: NDArray[np.uint8], landmarks: ArrayLike, face_size: float = _NAN, chip: NDArray[np.uint8] | None = None
) -> Measures:
    """Measure the face of a photograph, RGB uint8 (H, W, 3), with five landmarks (5, 2) in its pixels.

    Args:
        chip: the standard chip of these landmarks where it is at hand already, uint8 (150, 150, 3).
    """
    points = np.asarray(landmarks, np.float64)
    if chip is None:
        chip = align_face(photo, points, STANDARD_TEMPLATE, STANDARD_SIDE)
    region, scale = _region(photo, points)
    kept = min(1.0, scale)
    yaw, pitch, roll = pose(points)
    return replace(
        _measured(_grey(chip)),
        face_size=float(face_size),
        noise=noise_level(region) * kept,
        blockiness=1.0 + (blockiness(region) - 1.0) * kept,
        outside=_outside(photo.shape, points),
        yaw=yaw,
        pitch=pitch,
        roll=roll,
    )


def measure_chip(chip: NDArray[np.uint8]) -> Measures:
    """Measure a square aligned chip of which there is no photograph, RGB uint8 (S, S, 3): no size, no pose.

    Chips of other sides are resized to the standard one; a chip of another template than dlib's is measured as it is,
    a little more or less of the face than the reference has.
    """
    grey = standard = _grey(chip)
    if chip.shape[0] != STANDARD_SIDE:
        how = cv2.INTER_AREA if chip.shape[0] > STANDARD_SIDE else cv2.INTER_LINEAR
        resized = cv2.resize(chip, (STANDARD_SIDE, STANDARD_SIDE), interpolation=how)
        standard = _grey(np.asarray(resized, np.uint8))
    return replace(_measured(standard), noise=noise_level(grey), blockiness=blockiness(grey))


def pose(landmarks: ArrayLike) -> tuple[float, float, float]:
    """(yaw, pitch, roll) of five landmarks (5, 2): see :class:`Measures`. NaN where eyes and mouth coincide."""
    left, right, nose, *mouth = np.asarray(landmarks, np.float64)
    eyes = (left + right) / 2
    down = (mouth[0] + mouth[1]) / 2 - eyes
    length = float(down @ down)
    if length < 1e-9:
        return _NAN, _NAN, _NAN
    off = nose - eyes
    yaw = (off[0] * down[1] - off[1] * down[0]) / length
    dx, dy = right - left
    return float(yaw), float(off @ down / length), float(np.degrees(np.arctan2(dy, dx)))


def _measured(grey: NDArray[np.uint8]) -> Measures:
    """Everything that is measured on the standard chip, here its grey pixels (150, 150)."""
    face = np.ascontiguousarray(grey[_FACE])
    counts = cv2.calcHist([face], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    low, high = _quantiles(counts, (0.05, 0.95))
    mean = float(counts @ _LEVELS) / face.size
    small = cv2.resize(face, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float64)
    small -= small.mean()
    return Measures(
        blur=_NAN if counts.max() == face.size else blur_effect(face),
        brightness=mean,
        contrast=(high - low) / max(min(mean, 255.0 - mean), 1.0),
        clipped=float(counts[:3].sum() + counts[253:].sum()) / face.size,
        flat=flat_share(face),
        asymmetry=1.0 - float((small * small[:, ::-1]).sum()) / max(float((small**2).sum()), 1e-9),
    )


def _quantiles(counts: NDArray[np.int64], shares: Sequence[float]) -> list[float]:
    """Quantiles of grey levels that occur this often (256,), between two of them as ``np.percentile`` draws them."""
    below = np.cumsum(counts)
    places = np.asarray(shares) * (below[-1] - 1)
    low = np.searchsorted(below, np.floor(places), side="right")
    high = np.searchsorted(below, np.ceil(places), side="right")
    return [float(level) for level in low + (high - low) * (places % 1.0)]


def _outside(shape: tuple[int, ...], points: NDArray[np.float64]) -> float:
    """Share of the face (of a grid of points over it) that the standard chip looks for outside of the photograph."""
    matrix = similarity_transform(STANDARD_TEMPLATE, points)
    x, y = matrix[:, :2] @ _GRID + matrix[:, 2:]
    return float(np.mean((x < -0.5) | (y < -0.5) | (x > shape[1] - 0.5) | (y > shape[0] - 0.5)))


def _region(photo: NDArray[np.uint8], points: NDArray[np.float64]) -> tuple[NDArray[np.uint8], float]:
    """Grey pixels of the photograph around the face, and how many pixels of the standard chip one of them makes."""
    span = float(np.ptp(points, axis=0).max())
    (left, top), (right, bottom) = points.mean(axis=0) - 1.5 * span, points.mean(axis=0) + 1.5 * span
    part = photo[max(0, int(top)) : max(0, int(bottom) + 1), max(0, int(left)) : max(0, int(right) + 1)]
    return _grey(part), _SPAN / max(span, 1e-9)


def _grey(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if pixels.size == 0:  # landmarks far outside of the photograph
        return np.empty((0, 0), np.uint8)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)
