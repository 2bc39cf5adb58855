"""Five-point similarity alignment of a face to a backbone's template."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray


def similarity_transform(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Least-squares similarity (rotation, one scale, translation) that maps ``source`` points onto ``target``.

    Both (K, 2) in pixels (x, y). Returns the (2, 3) matrix ``[sR | t]``. Source: Umeyama, PAMI 1991, eq. 40-42.

    Raises:
        ValueError: when the shapes differ or the source points coincide.
    """
    src, dst = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if src.shape != dst.shape or src.ndim != 2 or src.shape[1] != 2:
        raise ValueError(f"source and target must both be (K, 2). Got {src.shape} and {dst.shape} instead.")
    src_mean, dst_mean = src.mean(0), dst.mean(0)
    src_centred, dst_centred = src - src_mean, dst - dst_mean
    variance = (src_centred**2).sum() / len(src)
    if variance < 1e-12:
        raise ValueError("source points must not all coincide.")
    u, singular, vt = np.linalg.svd(dst_centred.T @ src_centred / len(src))
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    linear = (singular @ sign) / variance * (u * sign) @ vt
    return np.column_stack([linear, dst_mean - linear @ src_mean])


def align_face(image: NDArray[np.uint8], landmarks: ArrayLike, template: ArrayLike, size: int) -> NDArray[np.uint8]:
    """Cut the aligned chip of shape (size, size, 3) out of ``image``: landmarks (5, 2) are brought onto ``template``.

    Points: left eye, right eye, nose, left and right mouth corner; "left" as seen in the image. Pixels outside the
    photograph repeat its border. When the face is more than twice as large as the chip, the photograph is first
    averaged down, so that the chip is not aliased.
    """
    matrix = similarity_transform(landmarks, template)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    shrink = int(1.0 / scale) if scale > 0 else 1
    if shrink >= 2:
        height, width = max(1, image.shape[0] // shrink), max(1, image.shape[1] // shrink)
        ratio = np.array([image.shape[1] / width, image.shape[0] / height])
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
        matrix = similarity_transform((np.asarray(landmarks, np.float64) + 0.5) / ratio - 0.5, template)
    chip = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(chip, np.uint8)


def centre_landmarks(width: int, height: int) -> NDArray[np.float32]:
    """Where the five points of a centred face would lie: the fall-back of LFW's protocol when detection fails.

    The shape (5, 2) is the median of MTCNN's points over LFW's 250 x 250 deep-funneled photographs, scaled to the
    photograph.
    """
    return (_LFW_MEDIAN_POINTS * min(width, height) + np.array([width, height]) / 2).astype(np.float32)


# Offsets from the centre in units of the shorter side: medians over the 13,232 LFW photographs in which MTCNN found a
# face.
_LFW_MEDIAN_POINTS = np.array(
    [[-0.0807, -0.0464], [0.0879, -0.0501], [0.0046, 0.0504], [-0.0660, 0.1362], [0.0806, 0.1334]], np.float64
)
