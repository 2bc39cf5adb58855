"""Monte Carlo dropout on a frozen backbone: T sampled networks, and how far their embeddings lie apart.

A pass is one sampled network: its masks are the same for all images, and depend on the seed, the pass and the place
alone, never on torch's global generator or on the batch. After a block whole channels are dropped, before the
bottleneck layer its inputs, so that a mask removes weights of the next layer. What is kept is scaled by
``1 / (1 - rate)``. Nothing is built into the backbone: BatchNorm stays in eval mode, and the backbone's own embeddings
do not change.
Source: Gal & Ghahramani, ICML 2016; Kendall & Gal, NIPS 2017.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from faceunc.backbones.base import Backbone
from faceunc.backbones.blocks import Split, block_count, split_at
from faceunc.backbones.tail import backbone_tail
from faceunc.epistemic.decomposition import Decomposition, decompose_embeddings

BEFORE_BOTTLENECK = -1  # the place of a mask: this, or the number of the block that it follows
_BATCH = 64
_BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class DropoutPlan:
    """Where dropout stands.

    Attributes:
        after_blocks: numbers of residual blocks, from 1 (dlib's backbone only; it has 14).
        before_bottleneck: on the inputs of the last linear layer.
        rate: share of channels or inputs that is dropped, in [0, 1).
    """

    after_blocks: tuple[int, ...] = ()
    before_bottleneck: bool = True
    rate: float = 0.1

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        if not self.before_bottleneck and not self.after_blocks:
            raise ValueError("a plan must drop out somewhere. Got no block and before_bottleneck=False instead.")
        if any(number < 1 for number in self.after_blocks):
            raise ValueError(f"after_blocks must be numbers from 1. Got {self.after_blocks} instead.")


def dropout_masks(passes: int, width: int, rate: float, seed: int = 0, place: int = BEFORE_BOTTLENECK) -> Tensor:
    """Masks (passes, width), float32: 0 with probability ``rate``, else ``1 / (1 - rate)``.

    The first masks of many are those of few.

    Args:
        seed: at least 0. place: number of a block, or BEFORE_BOTTLENECK; masks of two places are independent.

    Raises:
        ValueError: no pass, or a rate outside [0, 1).
    """
    _check_rate(rate)
    if passes < 1:
        raise ValueError(f"passes must be at least 1. Got {passes} instead.")
    kept = np.random.default_rng([seed, place + 1]).random((passes, width)) >= rate
    return torch.from_numpy(kept.astype(np.float32) / np.float32(1.0 - rate))


@torch.no_grad()
def stochastic_last(reduced: Tensor, last: Callable[[Tensor], Tensor], masks: Tensor) -> Tensor:
    """Embeddings (T, N, D), L2-normalised: the layer ``last`` on the inputs ``reduced`` (N, P) under T masks (T, P)."""
    raw = last((masks[:, None] * reduced).flatten(0, 1))
    return F.normalize(raw, dim=1).view(len(masks), len(reduced), raw.shape[1])


def rows_a_block(passes: int, width: int) -> int:
    """How many images to take at once so that (passes, images, width) stays small."""
    return max(1, _BLOCK_ELEMENTS // (passes * width))


class McDropout:
    """``passes`` sampled networks of one backbone.

    What lies below the first dropout is computed once. Before the bottleneck layer alone, 100 passes cost little more
    than one.

    Raises:
        InputError: a backbone whose last layer cannot be taken, or with ``plan.after_blocks`` one other than dlib's.
        ValueError: no pass, or blocks that it does not have.
    """

    def __init__(self, backbone: Backbone, plan: DropoutPlan | None = None, passes: int = 100, seed: int = 0) -> None:
        self.backbone, self.plan, self.passes, self.seed = backbone, plan or DropoutPlan(), passes, seed
        self.tail = backbone_tail(backbone)
        self._split: Split | None = None
        self._masks: dict[tuple[int, int], Tensor] = {}
        self._mask(BEFORE_BOTTLENECK, 1)  # tells of a bad number of passes now
        if self.plan.after_blocks:
            last, count = max(self.plan.after_blocks), block_count(backbone)
            if last > count:
                raise ValueError(f"after_blocks must be numbers up to {count}. Got {last} instead.")
            self._split = split_at(backbone, min(self.plan.after_blocks))

    @torch.no_grad()
    def __call__(self, chips: NDArray[np.uint8]) -> Tensor:
        """Chips, uint8 (N, S, S, 3) -> embeddings (T, N, D), float32, L2-normalised.

        Raises:
            InputError: when the chips have another shape or type.
        """
        starts = range(0, max(1, len(chips)), _BATCH)
        return torch.cat([self._embed(chips[start : start + _BATCH]) for start in starts], 1)

    @torch.no_grad()
    def from_features(self, feature_map: Tensor) -> Tensor:
        """Feature map (N, C, h, w), such as a cached one -> embeddings (T, N, D), as the call gives for its chips.

        Raises:
            ValueError: when the plan drops out after blocks, which a feature map has behind it.
        """
        if self.plan.after_blocks:
            raise ValueError(f"a feature map needs a plan without after_blocks. Got {self.plan.after_blocks} instead.")
        reduced = self.tail.eval().reduce(feature_map.float())
        masks = self._mask(BEFORE_BOTTLENECK, reduced.shape[1])
        blocks = torch.split(reduced, rows_a_block(self.passes, reduced.shape[1]))
        return torch.cat([stochastic_last(block, self.tail.last, masks) for block in blocks], 1)

    def decompose(self, chips: NDArray[np.uint8]) -> Decomposition:
        """Mean embedding (N, D) and epistemic variance (N,), see :func:`decompose_embeddings`; aleatoric is 0."""
        return decompose_embeddings(self(chips))

    def decompose_features(self, feature_map: Tensor) -> Decomposition:
        """The same for a feature map (N, C, h, w), see :meth:`from_features`."""
        return decompose_embeddings(self.from_features(feature_map))

    def _embed(self, chips: NDArray[np.uint8]) -> Tensor:
        if self._split is None:
            return self.from_features(self.backbone(chips).feature_map)
        activation = self._split.below(chips)
        return torch.cat([self._pass(activation, member) for member in range(self.passes)])

    def _pass(self, activation: Tensor, member: int) -> Tensor:
        """Embeddings (1, N, D) of one sampled network from what lies below its first dropout."""
        assert self._split is not None
        feature_map = self._split.above(activation, functools.partial(self._after, member))
        reduced = self.tail.eval().reduce(feature_map)
        mask = torch.ones(1, reduced.shape[1])
        if self.plan.before_bottleneck:
            mask = self._mask(BEFORE_BOTTLENECK, reduced.shape[1])[member : member + 1]
        return stochastic_last(reduced, self.tail.last, mask)

    def _after(self, member: int, number: int, activation: Tensor) -> Tensor:
        """What follows block ``number``: some of its channels dropped, where the plan says so."""
        if number not in self.plan.after_blocks:
            return activation
        mask = self._mask(number, activation.shape[1])[member]
        return (activation * mask[:, None, None]).to(activation.dtype)

    def _mask(self, place: int, width: int) -> Tensor:
        key = place, width
        if key not in self._masks:
            self._masks[key] = dropout_masks(self.passes, width, self.plan.rate, self.seed, place)
        return self._masks[key]


def _check_rate(rate: float) -> None:
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"rate must be in [0, 1). Got {rate} instead.")
