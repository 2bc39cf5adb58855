"""What every single head does alike: stretch what its members say, leave the mean frozen, and read a feature map."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

MIN_VARIANCE = 1e-6


class VarianceHead(nn.Module):
    """Feature map (N, C, h, w) -> log_var (N, D) or (N, 1), natural log of the variance on the unit sphere.

    In two steps, so that training can cache the first: :meth:`pool` is fixed, what follows learns.
    ``log_var = log(1e-6 + exp(l))``, l the mean of the members' outputs, stretched as the config says.

    Attributes:
        config: with ``spread`` and ``centre`` of the stretch.
        moves_mean: whether :meth:`embed` gives another mean than the backbone's.
        keeps_map: whether :meth:`pool` pools nothing away, and leaves as many numbers as the map has.
    """

    config: Any
    moves_mean = False
    keeps_map = False

    def pool(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """The part that does not learn: (N, C, h, w), and the norms (N,) for a head that takes them -> (N, P)."""
        raise NotImplementedError

    def member_outputs(self, pooled: Tensor) -> list[Tensor]:
        """What each member says before stretching, (N, P) -> log_var each."""
        raise NotImplementedError

    def rescale(self, shift: float, factor: float) -> None:
        """Make the output, before stretching, ``shift + factor * output``."""
        raise NotImplementedError

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """The learned part: (N, P) -> log_var."""
        raw = torch.stack(self.member_outputs(pooled)).mean(0)
        stretched = self.config.centre + self.config.spread * (raw - self.config.centre)
        return torch.logaddexp(stretched, torch.full_like(raw, math.log(MIN_VARIANCE)))

    def embed(self, pooled: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """(mean (N, D) L2-normalised, log_var): the frozen mean comes back as it is."""
        return mean, self.from_pooled(pooled)

    def forward(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """(N, C, h, w), and norms (N,) where the head takes them -> log_var (N, D) or (N, 1)."""
        return self.from_pooled(self.pool(feature_map, norm))
