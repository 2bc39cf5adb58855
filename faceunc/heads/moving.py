"""A head that moves the mean as well: DUL's two heads over one shared feature."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.heads.pfe import PFEConfig, PFEHead

STARTS = ("pretrained", "scratch")


@dataclass(frozen=True)
class MovingConfig(PFEConfig):
    """Shape of a head with a mean of its own.

    Attributes:
        start: "pretrained": the mean begins exactly at the backbone's embedding; a matrix on it and one on the
            pooled features, both at first zero, move it. "scratch": FC and batch normalisation of the pooled
            features, as in DUL's paper; the backbone's own embedding is not used.
        mean_dropout: of the pooled features on their way to the mean.
        step: share of the way from the backbone's embedding to the learned mean that :meth:`MovingHead.embed` takes. A
            mean that learned from few people fits them too well; half of the way keeps most of the gain and most of
            the backbone (Wortsman et al., CVPR 2022, do this with weights). From "scratch" all of it is taken.
    """

    start: str = "pretrained"
    mean_dropout: float = 0.5
    step: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 <= self.step <= 1.0:
            raise ValueError(f"step must be in [0, 1]. Got {self.step} instead.")
        if self.start not in STARTS:
            raise ValueError(f"start must be one of {', '.join(STARTS)}. Got {self.start!r} instead.")
        if self.architecture == "paper":
            raise ValueError("architecture must be 'pooled' for a head that moves the mean. Got 'paper' instead.")


class MovingHead(PFEHead):
    """Pooled features and the backbone's embedding -> mean of its own, and log_var.

    The variance is that of the direction: on the unit sphere, relative to the length of :meth:`raw_mean`, so that a
    mean that grows cannot escape its noise. Source: Chang et al., CVPR 2020, section 3 (two heads over one feature).
    """

    moves_mean = True
    config: MovingConfig

    def __init__(self, config: MovingConfig) -> None:
        super().__init__(config)
        inputs = self.inputs(config)
        self.standardise = nn.BatchNorm1d(inputs, affine=False)
        self.mean_dropout = nn.Dropout(config.mean_dropout)
        self.add = nn.Linear(inputs, config.dim, bias=config.start == "pretrained")
        if config.start == "pretrained":
            nn.init.zeros_(self.add.weight)
            nn.init.zeros_(self.add.bias)
            self.mix = nn.Linear(config.dim, config.dim, bias=False)
            nn.init.zeros_(self.mix.weight)  # of the way it moves: weight decay draws back to the backbone's embedding
        else:
            self.mean_norm = nn.BatchNorm1d(config.dim, affine=False)

    def raw_mean(self, pooled: Tensor, mean: Tensor) -> Tensor:
        """(N, P), (N, D) L2-normalised -> mean before normalisation (N, D), of length about sqrt(D)."""
        added: Tensor = self.add(self.mean_dropout(self.standardise(pooled)))
        if self.config.start == "scratch":
            normed: Tensor = self.mean_norm(added)
            return normed
        moved: Tensor = math.sqrt(self.config.dim) * (mean + self.mix(mean) + added)
        return moved

    def embed(self, pooled: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """(mean (N, D) L2-normalised, log_var (N, D) or (N, 1) on the unit sphere)."""
        moved = F.normalize(self.raw_mean(pooled, mean), dim=1)
        if self.config.start == "pretrained":
            moved = F.normalize(mean + self.config.step * (moved - mean), dim=1)
        return moved, self.from_pooled(pooled)
