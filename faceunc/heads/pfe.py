"""PFE's variance head: the module of the paper, and a small regularised one for little data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from faceunc.heads.base import VarianceHead

ARCHITECTURES = ("pooled", "paper")
VARIANCES = ("per-dimension", "scalar")
MAX_MEMBERS = 64


@dataclass(frozen=True)
class PFEConfig:
    """Shape of a head.

    Attributes:
        feature_shape: (C, h, w) of the backbone's feature map. dim: D of its embedding.
        architecture: "pooled": spatial mean and standard deviation -> ``hidden`` -> output, with dropout;
            "paper": the flattened map -> D -> D, as Shi & Jain published it (it overfits on small data).
        variance: "per-dimension" gives log_var (N, D), "scalar" (N, 1).
        hidden, dropout, members: of the pooled architecture; the outputs of ``members`` equal networks, started and
            dropped out differently, are averaged, which takes most of the luck of training out of sigma.
        bias: where log_var starts, ``log(mean genuine d^2 / (2 D))`` of the training data; the paper's -7 fits D = 512.
        norm: of the pooled architecture; the logarithm of the raw embedding's length is one more input. ArcFace-trained
            backbones shorten the embeddings of poor images; dlib's does not.
        spread, centre: the output is stretched to ``centre + spread * (log_var - centre)``, see training/spread.py.
    """

    feature_shape: tuple[int, int, int]
    dim: int
    architecture: str = "pooled"
    variance: str = "per-dimension"
    hidden: int = 64
    dropout: float = 0.5
    members: int = 4
    norm: bool = False
    bias: float = -7.0
    spread: float = 1.0
    centre: float = 0.0

    def __post_init__(self) -> None:
        for value, allowed, name in (
            (self.architecture, ARCHITECTURES, "architecture"),
            (self.variance, VARIANCES, "variance"),
        ):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}. Got {value!r} instead.")
        numbers = (*self.feature_shape, self.dim, self.hidden, self.members)
        if not all(isinstance(n, int) and 1 <= n <= 1_000_000 for n in numbers) or self.members > MAX_MEMBERS:
            raise ValueError(
                f"shape, dim, hidden, members (up to {MAX_MEMBERS}) must be whole numbers. Got {numbers} instead."
            )
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in (self.bias, self.spread, self.centre)):
            raise ValueError(
                f"bias, spread, centre must be finite. Got {self.bias}, {self.spread}, {self.centre} instead."
            )
        if self.norm and self.architecture == "paper":
            raise ValueError("norm must be False for the paper's architecture. Got True instead.")

    @property
    def outputs(self) -> int:
        """Numbers that the head gives an image."""
        return self.dim if self.variance == "per-dimension" else 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values; ``PFEConfig(**values)`` reads them (lists become tuples)."""
        return asdict(self)


class PFEHead(VarianceHead):
    """PFE's module: that of the paper, or the small pooled one. See :class:`VarianceHead` for shapes and steps.

    Source: Shi & Jain, ICCV 2019, section 4 and their published module.
    """

    config: PFEConfig

    def __init__(self, config: PFEConfig) -> None:
        super().__init__()
        self.config = config
        self.keeps_map = config.architecture == "paper"
        channels, height, width = config.feature_shape
        if config.architecture == "paper":
            self.body = _paper_body(channels * height * width, config)
            self.scale = nn.Parameter(torch.tensor(1e-4))
            self.bias = nn.Parameter(torch.tensor(float(config.bias)))
        else:
            self.bodies = nn.ModuleList(_pooled_body(self.inputs(config), config) for _ in range(config.members))

    @classmethod
    def inputs(cls, config: PFEConfig) -> int:
        """Numbers that the learned part of the pooled architecture reads."""
        return 2 * config.feature_shape[0] + config.norm

    def pool(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """The part without parameters: (N, C, h, w), and the norms (N,) for a head that takes them -> (N, P)."""
        if self.config.architecture == "paper":
            return feature_map.flatten(1)
        flat = feature_map.flatten(2)
        mean = flat.mean(2)
        deviation = (flat.square().mean(2) - mean.square()).clamp_min(0).sqrt()
        parts = [mean, deviation]
        if self.config.norm:
            if norm is None:
                raise ValueError("norm must be given: this head takes it as an input. Got None instead.")
            parts.append(norm.clamp_min(1e-12).log()[:, None].to(mean.dtype))
        return torch.cat(parts, 1)

    def member_outputs(self, pooled: Tensor) -> list[Tensor]:
        """What each member says before stretching, (N, P) -> log_var each; the paper's head has one member."""
        if self.config.architecture == "paper":
            return [self.scale * self.body(pooled) + self.bias]
        return [body(pooled) for body in self.bodies]

    @torch.no_grad()
    def rescale(self, shift: float, factor: float) -> None:
        """Make the output, before stretching, ``shift + factor * output``."""
        if self.config.architecture == "paper":
            self.scale.mul_(factor)
            self.bias.mul_(factor).add_(shift)
            return
        for body in self.bodies:
            last: nn.Linear = body[-1]  # type: ignore[index]
            last.weight.mul_(factor)
            last.bias.mul_(factor).add_(shift)


def _pooled_body(inputs: int, config: PFEConfig) -> nn.Sequential:
    last = nn.Linear(config.hidden, config.outputs)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, config.bias)
    return nn.Sequential(
        nn.BatchNorm1d(inputs),
        nn.Linear(inputs, config.hidden),
        nn.ReLU(),
        nn.Dropout(config.dropout),
        last,
    )


def _paper_body(inputs: int, config: PFEConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, config.dim, bias=False),
        nn.BatchNorm1d(config.dim, eps=1e-3),
        nn.ReLU(),
        nn.Linear(config.dim, config.outputs, bias=False),
        nn.BatchNorm1d(config.outputs, eps=1e-3, affine=False),
    )
