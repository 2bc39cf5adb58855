"""Several heads as one: their mean, the variance of data and model together, and how far they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from faceunc.epistemic.ensemble import EnsembleOutput, combine_members
from faceunc.heads.pfe import PFEConfig


@dataclass(frozen=True)
class EnsembleConfig(PFEConfig):
    """Shape of an ensemble: the configurations of its heads, which share the pooling of the first.

    Attributes:
        heads: the configuration of each.
    """

    heads: tuple[PFEConfig, ...] = ()

    def __post_init__(self) -> None:
        if not self.heads:
            raise ValueError("heads must hold at least one configuration. Got none instead.")

    @staticmethod
    def of(heads: Sequence[PFEConfig]) -> EnsembleConfig:
        """The ensemble of these heads."""
        first = heads[0]
        return EnsembleConfig(
            first.feature_shape, first.dim, first.architecture, first.variance, norm=first.norm, heads=tuple(heads)
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values: only the heads' own."""
        return {"heads": [head.to_dict() for head in self.heads]}


class EnsembleHead(nn.Module):
    """M heads; members first inside, (N, ...) outside.

    ``embed`` gives the normalised mean of the members' means and the TOTAL variance: mean of their variances (data)
    plus variance of their means (model), which is zero for heads that leave the mean frozen; ``combined`` has its
    parts, and the disagreement on sigma.
    Source: Lakshminarayanan et al., NIPS 2017.
    """

    def __init__(self, config: EnsembleConfig, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.config, self.heads = config, nn.ModuleList(heads)
        self.keeps_map = any(bool(head.keeps_map) for head in heads)
        self.moves_mean = any(bool(head.moves_mean) for head in heads)

    def pool(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """The pooling that all share."""
        pooled: Tensor = self.heads[0].pool(feature_map, norm)  # type: ignore[operator]
        return pooled

    def members(self, pooled: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """(means (M, N, D), log_vars (M, N, D or 1))."""
        outputs = [head.embed(pooled, mean) for head in self.heads]  # type: ignore[operator]
        means, log_vars = zip(*outputs, strict=True)
        return torch.stack(means), torch.stack(log_vars)

    def embed(self, pooled: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """(mean (N, D) L2-normalised, log of the total variance (N, D or 1))."""
        combined = self.combined(pooled, mean)
        return combined.mean, combined.log_var

    def combined(self, pooled: Tensor, mean: Tensor) -> EnsembleOutput:
        """All of it at once: mean, total log_var, epistemic (N,), and how far members disagree on log_var (N,)."""
        return combine_members(*self.members(pooled, mean))

    def from_pooled(self, pooled: Tensor) -> Tensor:
        """Mean of the members' variances, as log_var: the data's part (what the collapse check looks at)."""
        log_vars = torch.stack([head.from_pooled(pooled) for head in self.heads])  # type: ignore[operator]
        return torch.logsumexp(log_vars, 0) - torch.log(torch.tensor(float(len(log_vars))))

    def forward(self, feature_map: Tensor, norm: Tensor | None = None) -> Tensor:
        """(N, C, h, w), norms (N,) -> log_var, as :meth:`from_pooled`."""
        return self.from_pooled(self.pool(feature_map, norm))
