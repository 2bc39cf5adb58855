"""Which head a configuration describes; a stored one is told by the keys that it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceunc.heads.ensemble import EnsembleConfig, EnsembleHead
from faceunc.heads.moving import MovingConfig, MovingHead
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.heads.quality import QualityConfig, QualityHead
from faceunc.heads.tuned import TunedConfig, TunedHead

MAX_HEADS = 100
SingleHead = PFEHead | QualityHead
"""What a training makes: ``config``, ``moves_mean``, ``pool``, ``member_outputs``, ``from_pooled``, ``embed``."""
Head = SingleHead | EnsembleHead
"""What every method ends in: ``config``, ``moves_mean``, ``pool``, ``from_pooled``, ``embed``."""


def build_single(config: PFEConfig) -> SingleHead:
    """A new head, started as its configuration says."""
    if isinstance(config, TunedConfig):
        return TunedHead(config)
    if isinstance(config, MovingConfig):
        return MovingHead(config)
    if isinstance(config, QualityConfig):
        return QualityHead(config)
    return PFEHead(config)


def build_head(config: PFEConfig) -> Head:
    """A new head, or an ensemble of them."""
    if isinstance(config, EnsembleConfig):
        return EnsembleHead(config, [build_single(head) for head in config.heads])
    return build_single(config)


def read_config(values: Mapping[str, Any]) -> PFEConfig:
    """The configuration that ``config.to_dict()`` wrote. Raises TypeError, ValueError or KeyError for a foreign one."""
    if "heads" in values:
        heads = values["heads"]
        if not 1 <= len(heads) <= MAX_HEADS or any("heads" in head for head in heads):
            raise ValueError(f"an ensemble of {len(heads)} heads: expected 1 to {MAX_HEADS}, none an ensemble itself")
        configs = [read_config(head) for head in heads]
        if len({(type(c), c.feature_shape, c.dim, c.outputs, c.architecture, c.norm) for c in configs}) > 1:
            raise ValueError("an ensemble of heads of different shapes")
        return EnsembleConfig.of(configs)
    kinds: dict[str, type[PFEConfig]] = {"cut": TunedConfig, "start": MovingConfig, "measure": QualityConfig}
    kind = next((kinds[key] for key in kinds if key in values), PFEConfig)
    return kind(**{**values, "feature_shape": tuple(values["feature_shape"])})
