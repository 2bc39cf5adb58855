"""The chip that a backbone wants, cut out of a photograph or made of a chip that was given."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import ImageError
from faceunc.images.align import align_face
from faceunc.images.detect import Detection


def cut_chip(image: NDArray[np.uint8], found: Detection, spec: BackboneSpec) -> NDArray[np.uint8]:
    """The found face of ``image``, RGB uint8 (H, W, 3), aligned to the backbone's template: uint8 (S, S, 3)."""
    return align_face(image, found.landmarks, spec.template, spec.input_size)


def given_chip(image: NDArray[np.uint8], spec: BackboneSpec, name: str) -> NDArray[np.uint8]:
    """An aligned chip, RGB uint8 (K, K, 3), in the backbone's size: uint8 (S, S, 3).

    Raises:
        ImageError: "wrong_size" when it is not square; the message names ``name``.
    """
    height, width = image.shape[:2]
    if height != width:
        raise ImageError("wrong_size", f"{name}: expected a square aligned chip, got {width} x {height}")
    if height == spec.input_size:
        return image
    how = cv2.INTER_AREA if height > spec.input_size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (spec.input_size, spec.input_size), interpolation=how), np.uint8)
