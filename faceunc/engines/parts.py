"""The torch modules that an exported model consists of: pixels -> (feature map, embedding) -> what the head says."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.spec import BackboneSpec
from faceunc.heads.build import Head

BODY_OUTPUTS = ("feature_map", "embedding")
HEAD_OUTPUTS = ("mean", "log_var", "norm")


class Normalise(nn.Module):
    """Chips, uint8 (N, S, S, 3) RGB -> the backbone's input, float32 (N, 3, S, S)."""

    def __init__(self, spec: BackboneSpec) -> None:
        super().__init__()
        self.flip, self.scale = spec.colour == "BGR", spec.scale
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(spec.mean, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, chips: Tensor) -> Tensor:
        """Turn the colours where the spec wants BGR, subtract the mean, scale."""
        pixels = (chips.flip(3) if self.flip else chips).permute(0, 3, 1, 2).float()
        return (pixels - self.mean) * self.scale


class Body(nn.Module):
    """Chips, uint8 (N, S, S, 3) -> (feature map (N, C, h, w), embedding before normalisation (N, D))."""

    def __init__(self, network: nn.Module, spec: BackboneSpec) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(spec), network

    def forward(self, chips: Tensor) -> tuple[Tensor, Tensor]:
        """In the order of :data:`BODY_OUTPUTS`."""
        feature_map, embedding = self.network(self.normalise(chips))
        return feature_map, embedding


class HeadOutput(NamedTuple):
    """In the order of :data:`HEAD_OUTPUTS`: mean (N, D) L2-normalised, log_var (N, D or 1), norm (N,)."""

    mean: Tensor
    log_var: Tensor
    norm: Tensor


class Finish(nn.Module):
    """What comes after the body: (feature map, embedding) -> :class:`HeadOutput`; holds a copy of the head."""

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = copy.deepcopy(head).eval()

    def forward(self, feature_map: Tensor, embedding: Tensor) -> HeadOutput:
        """(N, C, h, w) and (N, D)."""
        norm = embedding.norm(dim=1)
        mean, log_var = self.head.embed(self.head.pool(feature_map, norm), F.normalize(embedding, dim=1))
        return HeadOutput(mean, log_var, norm)
