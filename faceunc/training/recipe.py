"""One method with its settings, ready for one backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from faceunc.backbones.base import Backbone
from faceunc.backbones.tail import backbone_tail
from faceunc.errors import InputError
from faceunc.heads.build import SingleHead, build_single
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.quality import QualityHead
from faceunc.heads.tuned import TunedHead
from faceunc.training.objectives.base import Objective

_RECIPE = "2"  # part of the keys of trained heads: raise it when an objective or the refit changes
_CHOICES = {
    "variance": ("per-dimension", "scalar"),
    "architecture": ("pooled", "paper"),
    "mean": ("moving", "frozen"),
    "start": ("pretrained", "scratch", "tuned"),
    "centres": ("means", "weights"),
    "classifier": ("softmax", "cosface", "arcface"),
    "kl_reduction": ("sum", "mean"),
}
ENSEMBLE_KINDS = ("seeds", "bootstrap", "checkpoints")


@dataclass(frozen=True)
class EnsembleOptions:
    """How the members come to differ.

    Attributes:
        size: number of members, at least 2.
        kind: "seeds": split, batches, weights and dropout from other seeds (deep ensemble); "bootstrap": besides, each
            member sees the people of a draw with replacement (63% of them, each once); "checkpoints": the last states
            of a single training, for the cost of one.
    """

    size: int = 5
    kind: str = "seeds"

    def __post_init__(self) -> None:
        if self.kind not in ENSEMBLE_KINDS:
            raise InputError(f"ensemble kind must be one of {', '.join(ENSEMBLE_KINDS)}. Got {self.kind!r} instead.")
        if self.size < 2:
            raise InputError(f"an ensemble needs at least 2 members. Got {self.size} instead.")


@dataclass(frozen=True)
class Settings:
    """What the user may choose; a method reads those that it names in ``Method.settings``.

    Attributes:
        variance: "per-dimension" or "scalar". architecture, norm: see :class:`PFEConfig`.
        mean: "moving" or "frozen" (dul-reg). start: where a moving mean begins, see :class:`MovingConfig`.
        centres: "means" or "weights", see :func:`class_centres`.
        classifier: "softmax", "cosface" or "arcface" (dul-cls). margin: in cosine (cosface) or radians (arcface), None
            for .2 and .3. scale: of its logits. kl_weight, kl_reduction: of its regulariser.
        regulariser, triplet: weights of ProbFace's terms.
    """

    variance: str = "per-dimension"
    architecture: str = "pooled"
    norm: bool = False
    mean: str = "moving"
    start: str = "pretrained"
    centres: str = "means"
    classifier: str = "cosface"
    margin: float | None = None
    scale: float = 32.0
    kl_weight: float = 0.001
    kl_reduction: str = "sum"
    regulariser: float = 0.001
    triplet: float = 0.001

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}. Got {getattr(self, name)!r} instead.")
        for name in ("margin", "scale", "kl_weight", "regulariser", "triplet"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of at least 0. Got {value} instead.")
        if self.margin is not None and self.margin > math.pi:
            raise ValueError(f"margin must be at most pi (radians), or 2 (cosine). Got {self.margin} instead.")


@dataclass(frozen=True)
class Recipe:
    """A method with its settings, for one backbone: what to build, what it minimises, how many of it."""

    method: str
    config: PFEConfig
    objective: Callable[[], Objective]
    backbone: Backbone
    ensemble: EnsembleOptions | None = None

    def pooling_head(self) -> SingleHead:
        """A head whose fixed part is ready: it pools features as the trained one will."""
        head = build_single(self.config)
        if isinstance(head, QualityHead) and head.config.measure == "serfiq":
            head.take_tail(backbone_tail(self.backbone))
        if isinstance(head, TunedHead):
            head.take_blocks(self.backbone)
        return head

    def identity(self) -> list[Any]:
        """JSON-ready: all that a trained head depends on, besides data and training options."""
        plain: list[Any] = [self.config.to_dict()]
        if self.method != "pfe":
            plain = [_RECIPE, self.method, *plain, self.objective().options()]
        return [*plain, asdict(self.ensemble)] if self.ensemble else plain
