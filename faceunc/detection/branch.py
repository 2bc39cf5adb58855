"""The variance branch: from the features of MTCNN's last stage to a variance of each of its 14 coordinates."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from faceunc.detection.features import COORDINATES, FEATURES, GROUPS

_MAX_HIDDEN = 65536


@dataclass(frozen=True)
class BranchConfig:
    """Size of a branch.

    Attributes:
        hidden: width of the one hidden layer.
        sigma: where every coordinate's sigma begins before training, in sides of the crop.

    Raises:
        ValueError: a width that is no whole number in 1..65536, a sigma that is not positive.
    """

    hidden: int = 64
    sigma: float = 0.03

    def __post_init__(self) -> None:
        if isinstance(self.hidden, bool) or not isinstance(self.hidden, int) or not 1 <= self.hidden <= _MAX_HIDDEN:
            raise ValueError(f"hidden must be a whole number from 1 to {_MAX_HIDDEN}. Got {self.hidden!r} instead.")
        if not isinstance(self.sigma, int | float) or not 0.0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be positive. Got {self.sigma!r} instead.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


class VarianceBranch(nn.Module):
    """log_var of box and points: a hidden layer on standardised features, and a factor a group on top.

    Source: Kendall & Gal, NIPS 2017 (heteroscedastic regression); He et al., CVPR 2019 (on a detector's box). Here the
    detector is frozen, so only the variance is learned.
    """

    centre: Tensor
    spread: Tensor
    log_factor: Tensor

    def __init__(self, config: BranchConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("centre", torch.zeros(FEATURES))
        self.register_buffer("spread", torch.ones(FEATURES))
        self.register_buffer("log_factor", torch.zeros(len(GROUPS)))
        self.hidden = nn.Linear(FEATURES, config.hidden)
        self.out = nn.Linear(config.hidden, COORDINATES)
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, 2.0 * math.log(config.sigma))

    def forward(self, features: Tensor) -> Tensor:
        """log of the variance, (N, 14), in units of the crop's side squared; features (N, 256)."""
        hidden = torch.relu(self.hidden((features - self.centre) / self.spread))
        raw: Tensor = self.out(hidden)
        return raw + self._factors()

    def standardise(self, features: Tensor) -> None:
        """Take mean and deviation of the training features (N, 256), N >= 2; a constant feature counts nothing."""
        deviation = features.std(dim=0)
        self.centre.copy_(features.mean(dim=0))
        self.spread.copy_(torch.where(deviation > 1e-6, deviation, torch.inf))

    def rescale(self, factors: dict[str, float]) -> None:
        """Multiply sigma by ``factors[group]`` ("box", "landmarks"), positive: the calibration."""
        for place, name in enumerate(GROUPS):
            self.log_factor[place] += 2.0 * math.log(factors[name])

    def _factors(self) -> Tensor:
        lengths = torch.tensor([part.stop - part.start for part in GROUPS.values()])
        return self.log_factor.repeat_interleave(lengths)
