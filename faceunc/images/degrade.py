"""Deterministic degradations of a chip: one place for training, evaluation, sweeps and demo.

Every kind maps (chip, severity in [0, 1], random generator) to a chip of the same shape. Lengths are in pixels of the
chip. Severity 0 of a kind is its mildest form, not the identity; an undegraded image is :data:`CLEAN`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Chip = NDArray[np.uint8]


@dataclass(frozen=True)
class Degradation:
    """What is done to one chip: ``kind`` (a key of :data:`KINDS`, or "none"), ``severity`` in [0, 1], ``seed``."""

    kind: str
    severity: float
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind != "none" and self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)} or none. Got {self.kind!r} instead.")
        if not 0.0 <= self.severity <= 1.0:
            raise ValueError(f"severity must be in [0, 1]. Got {self.severity} instead.")


def degrade(chip: Chip, degradation: Degradation) -> Chip:
    """Return a degraded copy of ``chip``, RGB uint8 (H, W, 3). The same chip and degradation give the same pixels."""
    if degradation.kind == "none":
        return chip.copy()
    return KINDS[degradation.kind](chip, degradation.severity, np.random.default_rng(degradation.seed))


def image_seed(seed: int, image_id: str) -> int:
    """A seed of 63 bits that belongs to one image: a function of the run's seed and of the image's name only."""
    digest = hashlib.blake2b(f"{seed}:{image_id}".encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def draw_degradation(seed: int, image_id: str) -> Degradation:
    """Draw the standard mix of ``cross-quality`` and ``templates`` for one image, severity uniform in [0, 1].

    30% down-sampling, 20% Gaussian blur, 15% Gaussian noise, 10% motion blur, 25% a combination of them with JPEG and,
    in 30% of those, an occlusion. Depends on ``seed`` and ``image_id`` alone.
    """
    own = image_seed(seed, image_id)
    rng = np.random.default_rng([own, 1])
    kind = str(rng.choice(MIX_KINDS, p=MIX_SHARES))
    return Degradation(kind, float(rng.uniform()), own)


def _downsample(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Side 100 px to 12 px, logarithmic; area averaging down, cubic up."""
    side = max(1, min(round(100.0 * (12.0 / 100.0) ** severity), min(chip.shape[:2])))
    small = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA)
    return _pixels(cv2.resize(small, chip.shape[1::-1], interpolation=cv2.INTER_CUBIC))


def _blur(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Gaussian blur of standard deviation 0.5 to 6.5 px."""
    return _pixels(cv2.GaussianBlur(chip, (0, 0), 0.5 + 6.0 * severity, borderType=cv2.BORDER_REFLECT_101))


def _noise(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Gaussian noise, independent per pixel and channel, of standard deviation 5 to 80 grey levels."""
    return _pixels(chip + rng.standard_normal(chip.shape, np.float32) * np.float32(5.0 + 75.0 * severity))


def _motion(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Motion blur: the mean along a line of 3 to 33 px at a random angle."""
    length = 3.0 + 30.0 * severity
    angle = rng.uniform(0.0, np.pi)
    size = 2 * int(np.ceil(length / 2)) + 1
    steps = np.linspace(-(length - 1) / 2, (length - 1) / 2, 8 * size)
    kernel, _, _ = np.histogram2d(
        steps * np.sin(angle), steps * np.cos(angle), bins=size, range=[[-size / 2, size / 2]] * 2
    )
    return _pixels(cv2.filter2D(chip, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT_101))


def _jpeg(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """JPEG compression of quality 90 to 10."""
    quality = round(90.0 - 80.0 * severity)
    _, data = cv2.imencode(".jpg", chip[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1])


def _occlusion(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """A square of one random colour, with a side of 0 to 0.6 of the chip's, wholly inside it at a random place."""
    height, width = chip.shape[:2]
    side = round(0.6 * severity * min(height, width))
    top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
    out = chip.copy()
    out[top : top + side, left : left + side] = rng.integers(0, 256, 3)
    return out


def _brightness(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Darker or brighter, at random: the distance to black or to white shrinks by up to 90%."""
    end = 255.0 * rng.integers(0, 2)
    return _pixels(end + (chip - end) * (1.0 - 0.9 * severity))


def _contrast(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Flatter: the distance of every pixel to the chip's mean colour shrinks by up to 95%."""
    mean = chip.mean(axis=(0, 1))
    return _pixels(mean + (chip - mean) * (1.0 - 0.95 * severity))


def _combined(chip: Chip, severity: float, rng: np.random.Generator) -> Chip:
    """Down-sampling, blur, noise and JPEG together, each at its own random share; in 30% an occlusion as well."""
    chip = _downsample(chip, severity * rng.uniform(), rng)
    chip = _blur(chip, 0.5 * severity * rng.uniform(), rng)
    chip = _noise(chip, 0.5 * severity * rng.uniform(), rng)
    chip = _jpeg(chip, severity * rng.uniform(), rng)
    return _occlusion(chip, severity, rng) if rng.uniform() < 0.3 else chip


def _pixels(values: NDArray[Any]) -> Chip:
    if values.dtype == np.uint8:  # rounding would go through float16, a millisecond a chip
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(np.clip(np.rint(np.asarray(values)), 0, 255), np.uint8)


KINDS: dict[str, Callable[[Chip, float, np.random.Generator], Chip]] = {
    "downsample": _downsample,
    "blur": _blur,
    "noise": _noise,
    "motion": _motion,
    "jpeg": _jpeg,
    "occlusion": _occlusion,
    "brightness": _brightness,
    "contrast": _contrast,
    "combined": _combined,
}
MIX_KINDS = ("downsample", "blur", "noise", "motion", "combined")
MIX_SHARES = (0.30, 0.20, 0.15, 0.10, 0.25)
CLEAN = Degradation("none", 0.0)
