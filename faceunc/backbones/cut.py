"""dlib's network whose feature map is the activation below its last blocks: ``dlib@13`` leaves block 14 to the head."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.dlib_resnet import DlibResNet
from faceunc.errors import InputError


class CutResNet(nn.Module):
    """(activation after the first ``blocks`` blocks, raw embedding of the whole network)."""

    def __init__(self, network: DlibResNet, blocks: int) -> None:
        super().__init__()
        self.network, self.blocks = network, blocks

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Input (N, 3, 150, 150) after the spec's mean and scale."""
        x = F.max_pool2d(F.relu(self.network.stem(x)), 3, 2)
        activation = x
        for number, block in enumerate(self.network.blocks, 1):
            x = block(x)
            if number == self.blocks:
                activation = x
        return activation, self.network.linear(x.mean((2, 3)))

    def upper_blocks(self) -> nn.Module:
        """The blocks above the cut (not copied)."""
        return self.network.blocks[self.blocks :]


def cut_backbone(backbone: TorchBackbone, blocks: int) -> TorchBackbone:
    """The same embeddings, with the activation after ``blocks`` blocks as the feature map; named ``dlib@blocks``.

    A head on it can fine-tune the blocks above (``start="tuned"``), or simply read a lower layer.

    Raises:
        InputError: a backbone other than dlib's, or a number outside 1..13.
    """
    network = backbone.module
    if not isinstance(network, DlibResNet):
        raise InputError(f"only dlib's backbone can be cut between its blocks. Got {backbone.spec.name} instead.")
    last = len(network.blocks) - 1
    if not 1 <= blocks <= last:
        raise InputError(f"dlib@K: K must be in 1..{last}. Got {blocks} instead.")
    module = CutResNet(network, blocks)
    side = backbone.spec.input_size
    with torch.no_grad():
        shape = tuple(module(torch.zeros(1, 3, side, side))[0].shape[1:])
    spec = replace(backbone.spec, name=f"{backbone.spec.name}@{blocks}", feature_shape=shape)
    return TorchBackbone(module, spec, backbone.precision)
