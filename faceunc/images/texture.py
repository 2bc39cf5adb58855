"""Texture of grey pixels: blur, noise, the edges of JPEG's blocks, patches without any."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

_NAN = float("nan")


def blur_effect(grey: NDArray[np.uint8]) -> float:
    """Perceptual blur of uint8 pixels (H, W), both at least 4, in [0, 1], higher = more blurred.

    The numbers of ``skimage.measure.blur_effect`` to float rounding, many times faster: window sums and Sobel's
    differences of whole numbers stay whole, and 16 bits hold them (at most 11 x 4 x 255).
    """
    size = 11
    inner = (slice(2, -1), slice(2, -1))
    shares = []
    for dx, dy in ((0, 1), (1, 0)):
        window = (size, 1) if dx else (1, size)
        smooth = cv2.boxFilter(grey, cv2.CV_16S, window, normalize=False, borderType=cv2.BORDER_REFLECT)
        sharp = np.abs(cv2.Sobel(grey, cv2.CV_16S, dx, dy, scale=size)[inner])
        kept = np.minimum(sharp, np.abs(cv2.Sobel(smooth, cv2.CV_16S, dx, dy)[inner]))
        total = cv2.norm(sharp, cv2.NORM_L1)
        shares.append(cv2.norm(kept, cv2.NORM_L1) / total if total else 1.0)
    return max(shares)


def noise_level(grey: NDArray[np.uint8]) -> float:
    """Standard deviation of the noise in grey levels (Immerkaer's method); NaN below 8 pixels."""
    if min(grey.shape) < 8:
        return _NAN
    second = np.array([1, -2, 1], np.float32)
    response = cv2.sepFilter2D(grey, cv2.CV_16S, second, second)[1:-1, 1:-1]  # whole numbers, at most 8 x 255
    return float(cv2.norm(response, cv2.NORM_L1) / response.size * np.sqrt(np.pi / 2) / 6)


def blockiness(grey: NDArray[np.uint8]) -> float:
    """Step at the borders of 8 x 8 blocks over the median step of the other columns and rows (H, W); 1 = no blocks.

    Of the eight places where the grid may lie the most conspicuous one counts, so that crops and turned photographs are
    judged as well. NaN below 64 pixels: too few blocks to tell.
    """
    if min(grey.shape) < 64:
        return _NAN
    ratios = []
    for axis, (first, second) in enumerate(((grey[:, 1:], grey[:, :-1]), (grey[1:], grey[:-1]))):
        total = cv2.reduce(cv2.absdiff(first, second), axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
        step = np.asarray(total.ravel() / np.float32(grey.shape[axis]), np.float32)
        phases = _phase_medians(step)  # the median: one long edge is no grid
        ratios.append(float(phases.max()) / max(float(phases[3] + phases[4]) / 2, 0.1))
    return (ratios[0] + ratios[1]) / 2


def _phase_medians(step: NDArray[np.float32]) -> NDArray[np.float32]:
    """Medians of ``step[p::8]`` for p = 0 to 7, in rising order."""
    rows = np.full(-(-len(step) // 8) * 8, np.inf, np.float32)
    rows[: len(step)] = step
    ordered = np.sort(rows.reshape(-1, 8), axis=0).ravel()  # what was filled up comes last
    low, high = _middles(len(step))
    return np.asarray(np.sort((ordered[low] + ordered[high]) / 2), np.float32)


@cache
def _middles(length: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the two middle values of each phase stand in the sorted rows of a step of that length."""
    phase = np.arange(8)
    count = (length - phase + 7) // 8
    return (count - 1) // 2 * 8 + phase, count // 2 * 8 + phase


def flat_share(grey: NDArray[np.uint8]) -> float:
    """Share of the face's ellipse in ``grey`` that the largest connected patch without texture covers.

    Without texture: the smoothed grey changes by less than a tenth of what it changes by at the median pixel. Smoothing
    keeps the steps between grey levels of a dark or flat photograph from looking like patches.
    """
    ellipse, inside = _ellipse(*grey.shape)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5)
    gradient = cv2.morphologyEx(smooth, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    level = 0.1 * _median(gradient.ravel()[inside])
    even = (gradient <= level).view(np.uint8) & ellipse
    patches = cv2.connectedComponents(even, connectivity=4)[1]
    areas = np.bincount(patches[even.view(np.bool_)])
    return int(areas.max(initial=0)) / len(inside)


def _median(values: NDArray[np.floating | np.integer]) -> float:
    """``np.median`` of (N,) finite values, N > 0, to float rounding, in a fifth of its time."""
    middle = len(values) // 2
    parted = np.partition(values, middle)  # one place: with two, numpy does without its vector instructions
    below = parted[middle] if len(values) % 2 else parted[:middle].max()
    return (float(below) + float(parted[middle])) / 2


@cache
def _ellipse(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """1 within the ellipse that touches all sides, 0 outside: (height, width); and the flat places of the ones."""
    ellipse = np.zeros((height, width), np.uint8)
    cv2.ellipse(ellipse, (width // 2, height // 2), (width // 2, height // 2), 0, 0, 360, 1, -1)
    return ellipse, np.flatnonzero(ellipse)
