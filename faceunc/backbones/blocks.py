"""A backbone cut between two of its blocks: what lies below is computed once, what lies above as often as wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from faceunc.backbones.base import Backbone, TorchBackbone, check_chips, to_input
from faceunc.backbones.dlib_resnet import DlibResNet
from faceunc.errors import InputError

AfterBlock = Callable[[int, Tensor], Tensor]


class Below:
    """Chips, uint8 (N, S, S, 3) -> activation (N, C, h, w) after the first ``blocks`` blocks, in the precision of the
    backbone."""

    def __init__(self, backbone: TorchBackbone, network: DlibResNet, blocks: int) -> None:
        self._backbone, self._network, self.blocks = backbone, network, blocks

    @torch.no_grad()
    def __call__(self, chips: NDArray[np.uint8]) -> Tensor:
        """Raises InputError when the chips have another shape or type."""
        check_chips(chips, self._backbone.spec)
        network = self._network
        with _precision(self._backbone):
            x: Tensor = F.max_pool2d(F.relu(network.stem(to_input(chips, self._backbone.spec))), 3, 2)
            for block in network.blocks[: self.blocks]:
                x = block(x)
        return x


class Above:
    """Activation after the first ``blocks`` blocks -> feature map, float32 (N, C, h, w)."""

    def __init__(self, backbone: TorchBackbone, network: DlibResNet, blocks: int) -> None:
        self._backbone, self._network, self.blocks = backbone, network, blocks

    @torch.no_grad()
    def __call__(self, activation: Tensor, after: AfterBlock | None = None) -> Tensor:
        """Run the blocks that are left.

        ``after(number, activation)`` may change what follows each block: ``number`` counts the blocks that came before,
        and begins with the given activation.
        """
        change = after or _unchanged
        with _precision(self._backbone):
            x = change(self.blocks, activation)
            for number, block in enumerate(self._network.blocks[self.blocks :], self.blocks + 1):
                x = change(number, block(x))
        return x.float().contiguous()


class Split(NamedTuple):
    """Both parts of a backbone: ``above(below(chips))`` is its feature map, bit for bit."""

    below: Below
    above: Above


def split_at(backbone: Backbone, blocks: int) -> Split:
    """Cut a backbone after its first ``blocks`` residual blocks (0: after the stem). Nothing is copied or changed.

    Raises:
        InputError: a backbone other than dlib's. ValueError: more blocks than it has.
    """
    cut, network = _dlib(backbone)
    count = len(network.blocks)
    if not 0 <= blocks <= count:
        raise ValueError(f"blocks must be in 0..{count}. Got {blocks} instead.")
    return Split(Below(cut, network, blocks), Above(cut, network, blocks))


def block_count(backbone: Backbone) -> int:
    """Number of residual blocks of the backbone. Raises InputError for a backbone other than dlib's."""
    return len(_dlib(backbone)[1].blocks)


def _dlib(backbone: Backbone) -> tuple[TorchBackbone, DlibResNet]:
    if isinstance(backbone, TorchBackbone) and isinstance(backbone.module, DlibResNet):
        return backbone, backbone.module
    raise InputError(f"backbone must be dlib's to be cut between its blocks. Got {backbone.spec.name} instead.")


def _precision(backbone: TorchBackbone) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=backbone.precision == "bfloat16")


def _unchanged(_number: int, activation: Tensor) -> Tensor:
    return activation
