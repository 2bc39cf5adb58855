"""A head that fine-tunes the last blocks of dlib's backbone: it carries its own copy of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.base import Backbone
from faceunc.backbones.cut import CutResNet
from faceunc.backbones.dlib_resnet import DlibResNet
from faceunc.errors import InputError
from faceunc.heads.moving import MovingConfig, MovingHead
from faceunc.heads.pfe import PFEConfig

TOP_CHANNELS = 256
SLOW = 0.1


@dataclass(frozen=True)
class TunedConfig(MovingConfig):
    """Shape of such a head.

    Attributes:
        feature_shape: of the activation below the blocks, see :func:`cut_backbone`.
        cut: number of blocks that stay frozen below.
    """

    cut: int = 13

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.norm or self.start != "pretrained" or not 1 <= self.cut <= 13:
            raise ValueError(
                "a head that tunes blocks takes no norm, starts pretrained, and cut must be in 1..13. "
                f"Got norm={self.norm}, start={self.start!r}, cut={self.cut} instead."
            )


class TunedHead(MovingHead):
    """Activation below the cut -> copied blocks and last layer, both learning -> mean; pooled top map -> log_var.

    Before training the mean is the backbone's. The blocks learn at a tenth of the rate of the rest.
    """

    config: TunedConfig

    def __init__(self, config: TunedConfig) -> None:
        super().__init__(config)
        self.keeps_map = True
        del self.add, self.mix
        network = DlibResNet()
        self.blocks, self.linear = network.blocks[config.cut :], network.linear
        self._last: tuple[Tensor, Tensor] | None = None

    @classmethod
    def inputs(cls, config: PFEConfig) -> int:
        """Numbers that the variance reads: mean and deviation of each channel of the top map."""
        return 2 * TOP_CHANNELS

    def take_blocks(self, backbone: Backbone) -> None:
        """Copy the backbone's blocks above the cut. Raises InputError for a backbone that is not cut there."""
        module = getattr(backbone, "module", None)
        if not isinstance(module, CutResNet) or module.blocks != self.config.cut:
            raise InputError(
                f"start=tuned needs dlib's backbone cut below its last blocks (dlib@13). Got {backbone.spec.name}"
            )
        self.blocks.load_state_dict(module.upper_blocks().state_dict())
        self.linear.load_state_dict(module.network.linear.state_dict())

    def slow_parameters(self) -> list[nn.Parameter]:
        """Parameters that were trained before."""
        return [*self.blocks.parameters(), *self.linear.parameters()]

    def pool(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """Nothing is fixed above the cut: the flattened activation (N, C h w)."""
        return feature_map.flatten(1)

    def _top(self, pooled: Tensor) -> Tensor:
        """Top map (N, 256, 2, 2). In training mean and variance of one batch share one pass."""
        if self.training and self._last is not None and self._last[0] is pooled:
            return self._last[1]
        top: Tensor = self.blocks(pooled.view(-1, *self.config.feature_shape))
        self._last = (pooled, top) if self.training else None
        return top

    def member_outputs(self, pooled: Tensor) -> list[Tensor]:
        """What each member says before stretching, (N, C h w) -> log_var each."""
        flat = self._top(pooled).flatten(2)
        mean = flat.mean(2)
        deviation = (flat.square().mean(2) - mean.square()).clamp_min(1e-12).sqrt()
        stats = torch.cat([mean, deviation], 1).detach()  # the variance learns from the map, and does not bend it
        return [body(stats) for body in self.bodies]

    def raw_mean(self, pooled: Tensor, mean: Tensor) -> Tensor:
        """(N, C h w) -> mean of length sqrt(D); the frozen ``mean`` is not needed."""
        embedded = F.normalize(self.linear(self._top(pooled).mean((2, 3))), dim=1)
        return math.sqrt(self.config.dim) * embedded
