"""Whether two engines say the same of the same chips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.precision import ASTRONAUT_POINTS
from faceunc.backbones.spec import BackboneSpec
from faceunc.engines.base import EngineOutput
from faceunc.errors import ImageError, InputError
from faceunc.images.align import align_face
from faceunc.images.astronaut import astronaut
from faceunc.images.degrade import CLEAN, Degradation, degrade

MAX_DISTANCE = 1e-4  # cosine distance to torch in float32
MAX_LOG_VAR = {"float32": 1e-3, "bfloat16": 0.05}  # 0.05: a twentieth of the variance
_VIEWS = (CLEAN, Degradation("downsample", 0.8), Degradation("blur", 0.6), Degradation("noise", 0.4))


@dataclass(frozen=True)
class Parity:
    """How far an engine is from the reference, at worst over all chips.

    Attributes:
        precision: of the engine. cosine_distance: 1 - cosine of the means. log_var: difference of log_var.
    """

    precision: str
    cosine_distance: float
    log_var: float

    @property
    def passes(self) -> bool:
        """Within :data:`MAX_DISTANCE` and :data:`MAX_LOG_VAR`; false when anything is not a number."""
        return self.cosine_distance <= MAX_DISTANCE and self.log_var <= MAX_LOG_VAR[self.precision]


def parity(output: EngineOutput, reference: EngineOutput, precision: str) -> Parity:
    """Compare what two engines said of the same chips (at least one)."""
    mean, other = (_unit(side.mean) for side in (output, reference))
    distance = 0.5 * ((mean - other) ** 2).sum(1)  # 1 - cosine, without the loss of digits of that difference
    log_var = np.abs(output.log_var.astype(np.float64) - reference.log_var)
    return Parity(precision, float(distance.max()), float(log_var.max()))


def _unit(mean: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = mean.astype(np.float64)
    return np.asarray(exact / np.linalg.norm(exact, axis=1, keepdims=True))


def face_chips(spec: BackboneSpec) -> NDArray[np.uint8]:
    """A real face as this backbone wants it, uint8 (1, S, S, 3): scikit-image's astronaut."""
    return align_face(astronaut(), ASTRONAUT_POINTS, spec.template, spec.input_size)[None]


class PhotoChips(NamedTuple):
    """Faces cut out of photographs.

    Attributes:
        chips: uint8 (N, S, S, 3), N at least 1. failures: why a photograph was left out, one line each.
    """

    chips: NDArray[np.uint8]
    failures: list[str]


def photo_chips(spec: BackboneSpec, photos: Sequence[Path]) -> PhotoChips:
    """The largest face of each photograph.

    Raises:
        InputError: not one could be used.
    """
    from faceunc.images.detect import FaceDetector
    from faceunc.images.read import read_image

    chips, failures, detector = [], [], FaceDetector()
    for photo in photos:
        try:
            image = read_image(photo)
        except ImageError as error:
            failures.append(str(error))
            continue
        (found,) = detector([image])
        if found is None:
            failures.append(f"{photo}: no face found")
        else:
            chips.append(align_face(image, found.landmarks, spec.template, spec.input_size))
    if not chips:
        reason = failures[0] if failures else "no photographs given"
        raise InputError(f"none of {len(photos)} photographs has a face that can be used (first: {reason})")
    return PhotoChips(np.stack(chips), failures)


def with_degraded(chips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Each chip clean, down-sampled, blurred and noisy: uint8 (4 N, S, S, 3)."""
    return np.stack([degrade(chip, view) for chip in chips for view in _VIEWS])
