"""The last part of a frozen backbone as a torch module of its own: feature map -> bottleneck layer -> raw embedding."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.base import Backbone, TorchBackbone
from faceunc.errors import InputError

if TYPE_CHECKING:
    from faceunc.backbones.onnx import OnnxBackbone

_MIN_COSINE = 0.999  # the backbone itself may have computed in bfloat16


class Tail(nn.Module):
    """Feature map (N, C, h, w) -> raw embedding (N, D), as the backbone computes it, in two steps.

    Attributes:
        reduce: feature map -> (N, P), what the bottleneck layer reads.
        last: (N, P) -> raw embedding (N, D): the bottleneck layer, with the BatchNorm after it where there is one.
    """

    def __init__(self, reduce: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.reduce = reduce
        self.last = last

    def forward(self, feature_map: Tensor) -> Tensor:
        """Feature map (N, C, h, w), float32 -> embedding before normalisation (N, D)."""
        raw: Tensor = self.last(self.reduce(feature_map))
        return raw


def backbone_tail(backbone: Backbone) -> Tail:
    """Copy what a backbone does after its feature map: frozen, in eval mode, float32.

    It is a copy: training it, or dropout within it, leaves the backbone as it is. One chip of noise goes through both,
    so a tail that is returned gives the backbone's embedding.

    Raises:
        InputError: a backbone whose tail is not known (known are dlib's, facenet-pytorch's InceptionResnetV1, and ONNX
            graphs of a few operators, see :mod:`faceunc.backbones.onnx_tail`), or whose feature map is not what the
            known tail reads.
    """
    tail = _copied(backbone).eval().requires_grad_(False)
    _check(tail, backbone)
    return tail


def _copied(backbone: Backbone) -> Tail:
    if isinstance(backbone, TorchBackbone):
        return _torch_tail(backbone)
    from faceunc.backbones.onnx import OnnxBackbone

    if isinstance(backbone, OnnxBackbone):
        return _onnx_tail(backbone)
    raise _unknown(backbone.spec.name, type(backbone).__name__)


def _torch_tail(backbone: TorchBackbone) -> Tail:
    from faceunc.backbones.dlib_resnet import DlibResNet
    from faceunc.backbones.torch_module import HookedModule

    network = backbone.module
    if isinstance(network, DlibResNet):
        return Tail(_average(), copy.deepcopy(network.linear))
    from facenet_pytorch import InceptionResnetV1

    inner = network.module if isinstance(network, HookedModule) else network
    if isinstance(inner, InceptionResnetV1):
        # copied without their hooks, which would report to the backbone
        layers = [_without_hooks(inner.last_linear), _without_hooks(inner.last_bn)]
        return Tail(_average(), nn.Sequential(*layers))
    raise _unknown(backbone.spec.name, type(inner).__name__)


def _average() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _without_hooks(layer: nn.Module) -> nn.Module:
    copied = copy.deepcopy(layer)
    copied._forward_hooks.clear()
    return copied


def _onnx_tail(backbone: OnnxBackbone) -> Tail:
    from faceunc.backbones.onnx_tail import read_tail

    graph = backbone.graph
    return Tail(*read_tail(backbone.model, graph["feature_output"], graph["embedding_output"]))


def _unknown(name: str, kind: str) -> InputError:
    known = "dlib, facenet-pytorch's InceptionResnetV1 or an ONNX model"
    return InputError(f"backbone {name}: its last layer can be taken only from {known}. Got {kind} instead.")


@torch.no_grad()
def _check(tail: Tail, backbone: Backbone) -> None:
    """Raise InputError unless the tail turns the backbone's feature map into the backbone's embedding."""
    side = backbone.spec.input_size
    output = backbone(np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8))
    try:
        mean = F.normalize(tail(output.feature_map), dim=1)
    except RuntimeError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"backbone {backbone.spec.name}: its last layers do not take its feature map ({reason})"
        ) from None
    cosine = float((mean * output.mean).sum()) if mean.shape == output.mean.shape else float("nan")
    if not cosine >= _MIN_COSINE:
        raise InputError(
            f"backbone {backbone.spec.name}: its last layers must turn its feature map into its embedding, cosine at "
            f"least {_MIN_COSINE}. Got {cosine:.4f} instead."
        )
