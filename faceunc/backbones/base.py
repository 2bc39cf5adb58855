"""The one interface of every backbone: uint8 chips in, (feature map, mean) out, frozen."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import InputError


class BackboneOutput(NamedTuple):
    """What a backbone says of N chips.

    Attributes:
        feature_map: float32 (N, C, h, w), what a head reads.
        mean: float32 (N, D), the embedding, L2-normalised.
        norm: float32 (N,), length of the embedding before normalisation, a quality score of its own (MagFace-style).
    """

    feature_map: Tensor
    mean: Tensor
    norm: Tensor


class Backbone(Protocol):
    """A frozen embedding model. Calling it never tracks gradients and never changes its state."""

    spec: BackboneSpec
    precision: str

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Embed aligned RGB chips, uint8 (N, S, S, 3) with S = ``spec.input_size``.

        Raises:
            InputError: when the chips have another shape or type.
        """
        ...


def check_chips(chips: NDArray[np.uint8], spec: BackboneSpec) -> None:
    """Raise InputError unless ``chips`` are uint8 (N, S, S, 3) of the size that ``spec`` wants."""
    side = spec.input_size
    array = isinstance(chips, np.ndarray)
    if not array or chips.dtype != np.uint8 or chips.ndim != 4 or chips.shape[1:] != (side, side, 3):
        got = f"{chips.dtype} {chips.shape}" if array else type(chips).__name__
        raise InputError(f"chips for {spec.name} must be an array, uint8 (N, {side}, {side}, 3). Got {got} instead.")


def to_input(chips: NDArray[np.uint8], spec: BackboneSpec) -> Tensor:
    """Turn chips into the model's float32 input (N, 3, S, S), channels-last in memory."""
    ordered = chips if spec.colour == "RGB" else chips[..., ::-1]
    pixels = torch.from_numpy(np.require(ordered, requirements=("C", "W"))).permute(0, 3, 1, 2)
    mean = torch.tensor(spec.mean, dtype=torch.float32).view(1, 3, 1, 1)
    return ((pixels.float() - mean) * spec.scale).contiguous(memory_format=torch.channels_last)


class TorchBackbone:
    """A torch module made into a :class:`Backbone`: ``module(input) -> (feature map, raw embedding)``.

    ``precision`` is "float32" or "bfloat16" (autocast). The module is put into eval mode and its gradients are off.
    """

    def __init__(self, module: nn.Module, spec: BackboneSpec, precision: str = "float32") -> None:
        self.spec = spec
        self.precision = precision
        self.module = module.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Embed chips: see :class:`Backbone`."""
        check_chips(chips, self.spec)
        if not len(chips):
            return empty_output(self.spec)
        self.module.eval()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            feature_map, raw = self.module(to_input(chips, self.spec))
        return output_of(feature_map, raw)


def output_of(feature_map: Tensor, raw: Tensor) -> BackboneOutput:
    """Normalise the raw embedding and keep its length."""
    raw = raw.float()
    return BackboneOutput(feature_map.float().contiguous(), F.normalize(raw, dim=1), raw.norm(dim=1))


def empty_output(spec: BackboneSpec) -> BackboneOutput:
    """The output for no chips at all."""
    return BackboneOutput(torch.empty(0, *spec.feature_shape), torch.empty(0, spec.dim), torch.empty(0))
