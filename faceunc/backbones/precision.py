"""bfloat16 where the processor has it and the embeddings agree; float32 otherwise."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import TorchBackbone
from faceunc.errors import InputError
from faceunc.images.align import align_face
from faceunc.images.astronaut import astronaut
from faceunc.images.degrade import Degradation, degrade

PRECISIONS = ("auto", "float32", "bfloat16")
MIN_COSINE = 0.9999

# MTCNN's five points on scikit-image's astronaut (public domain), the face that the check uses.
ASTRONAUT_POINTS = ((205.4, 101.5), (246.9, 103.1), (225.1, 129.2), (201.2, 139.6), (245.1, 141.1))


def has_fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware (AVX512-BF16 or AMX)."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return "avx512_bf16" in text or "amx_bf16" in text


def choose_precision(backbone: TorchBackbone, precision: str) -> TorchBackbone:
    """Set the backbone's precision. "auto" takes bfloat16 only where it is fast and passes :func:`agreement`.

    Raises:
        InputError: for an unknown name.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}. Got {precision!r} instead.")
    if precision == "auto":
        good = has_fast_bfloat16() and agreement(backbone) >= MIN_COSINE
        precision = "bfloat16" if good else "float32"
    backbone.precision = precision
    return backbone


def agreement(backbone: TorchBackbone) -> float:
    """Least cosine between the float32 and the bfloat16 embeddings of a real face, clean and degraded."""
    chips = _check_chips(backbone.spec.input_size, backbone.spec.template)
    before = backbone.precision
    means = []
    for precision in ("float32", "bfloat16"):
        backbone.precision = precision
        means.append(backbone(chips).mean)
    backbone.precision = before
    return float(torch.sum(means[0] * means[1], 1).min())


@functools.cache
def _check_chips(size: int, template: tuple[tuple[float, float], ...]) -> NDArray[np.uint8]:
    chip = align_face(astronaut(), ASTRONAUT_POINTS, template, size)
    steps = [("none", 0.0), ("downsample", 0.8), ("blur", 0.6), ("noise", 0.4)]
    return np.stack([degrade(chip, Degradation(kind, severity)) for kind, severity in steps])
