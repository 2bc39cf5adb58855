"""A quality score of the frozen model made into a variance by two learned numbers: comparable with any head."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.tail import Tail
from faceunc.epistemic.serfiq import serfiq_score
from faceunc.errors import InputError
from faceunc.heads.base import VarianceHead
from faceunc.heads.pfe import PFEConfig

MEASURES = ("norm", "serfiq")
SERFIQ_PASSES = 100


@dataclass(frozen=True)
class QualityConfig(PFEConfig):
    """Shape of a quality head; of what a :class:`PFEConfig` has, ``bias``, ``spread`` and ``centre`` count.

    Attributes:
        measure: "norm": logarithm of the raw embedding's length (MagFace's reading of it); "serfiq": stability of the
            embedding under dropout before the last layer (SER-FIQ).
    """

    variance: str = "scalar"
    members: int = 1
    measure: str = "norm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.measure not in MEASURES or self.variance != "scalar":
            raise ValueError(
                f"measure must be one of {', '.join(MEASURES)}, variance scalar. "
                f"Got {self.measure!r}, {self.variance!r} instead."
            )


class QualityHead(VarianceHead):
    """log_var (N, 1) = intercept + slope x standardised quality, the two fitted by the mutual likelihood.

    Quality comes from the frozen model alone; nothing else is learned. For "serfiq" the head carries a copy of the
    backbone's last layer, on which dropout acts (Terhoerst et al., CVPR 2020).
    """

    config: QualityConfig

    def __init__(self, config: QualityConfig) -> None:
        super().__init__()
        self.config = config
        channels, height, width = config.feature_shape
        self.register_buffer("centre", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))
        self.intercept = nn.Parameter(torch.tensor(float(config.bias)))
        self.slope = nn.Parameter(torch.tensor(0.0))
        if config.measure == "serfiq":
            self.register_buffer("reduce_weight", torch.zeros(channels, height, width))
            self.register_buffer("reduce_bias", torch.zeros(channels))
            self.register_buffer("last_weight", torch.zeros(config.dim, channels))
            self.register_buffer("last_bias", torch.zeros(config.dim))

    @torch.no_grad()
    def take_over(self, pooling: nn.Module | None, pooled: Tensor) -> None:
        """The fixed tensors of the head that pooled, and mean and deviation of the quality (..., 1) of training."""
        if isinstance(pooling, QualityHead):
            for name, value in pooling.named_buffers():
                setattr(self, name, value.clone())
        self.centre, self.scale = pooled.mean(), pooled.std().clamp_min(1e-6)

    def take_tail(self, tail: Tail) -> None:
        """Copy the backbone's last layer in (for "serfiq").

        Raises:
            InputError: a tail that is not a weighted sum over each channel's map followed by a linear map.
        """
        zero = torch.zeros(1, *self.config.feature_shape, requires_grad=True)
        with torch.enable_grad():
            reduced = tail.reduce(zero)
            (weight,) = torch.autograd.grad(reduced.sum(), zero)
        with torch.no_grad():
            identity = torch.eye(reduced.shape[1])
            bias = tail.last(torch.zeros(1, reduced.shape[1]))[0]
            self.reduce_weight, self.reduce_bias = weight[0].clone(), reduced[0].detach().clone()
            self.last_weight, self.last_bias = (tail.last(identity) - bias).T.contiguous(), bias.clone()
            probe = torch.rand(2, *self.config.feature_shape, generator=torch.Generator().manual_seed(0))
            mine = self._reduce(probe) @ self.last_weight.T + self.last_bias
            if not torch.allclose(mine, tail(probe), rtol=1e-3, atol=1e-3):
                raise InputError(
                    "SER-FIQ needs a backbone whose last layers are linear, channel by channel; they are not"
                )

    def _reduce(self, feature_map: Tensor) -> Tensor:
        reduced: Tensor = (feature_map * self.reduce_weight).sum((2, 3)) + self.reduce_bias
        return reduced

    def pool(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """The quality itself, (N, 1); higher = better. Needs ``norm`` for "norm"."""
        if self.config.measure == "serfiq":
            last = partial(F.linear, weight=self.last_weight, bias=self.last_bias)
            score = serfiq_score(self._reduce(feature_map), last, SERFIQ_PASSES)
            distance = -torch.logit(score.clamp(1e-6, 1.0 - 1e-6) / 2.0)
            return -distance[:, None].log()
        if norm is None:
            raise ValueError("norm must be given: this head takes it as an input. Got None instead.")
        return norm.clamp_min(1e-12).log()[:, None]

    def member_outputs(self, pooled: Tensor) -> list[Tensor]:
        """Before stretching, one member."""
        return [self.intercept + self.slope * (pooled - self.centre) / self.scale]

    @torch.no_grad()
    def rescale(self, shift: float, factor: float) -> None:
        """Make the output, before stretching, ``shift + factor * output``."""
        self.intercept.mul_(factor).add_(shift)
        self.slope.mul_(factor)
