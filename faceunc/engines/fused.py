"""dlib's network by oneDNN's fused convolutions, called directly: convolution, ReLU and addition in one pass.

These operators are the ones that torch.compile ends in; called by hand they need no compiler and no minute to start.
Why it is the same network:
- ``conv + ReLU`` and ``conv + skip, ReLU`` are computed per element in the same order, with no trip to memory between;
- weights are laid out for the processor (and rounded to bfloat16) once instead of at every call;
- the stem has no padding, so mean and scale go into its weights: w * ((p - m) * s) = (w s) * q - sum(w s (m - 128))
  with q = p - 128, which is exact in bfloat16 (normalised pixels are not) and keeps the sum, which is rounded, small.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.backbones.base import Backbone, BackboneOutput, TorchBackbone, check_chips, empty_output, output_of
from faceunc.backbones.dlib_resnet import DlibResNet
from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import InputError

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
_CHUNK = 32
_SHIFT = 128
_MIN_COSINE = 0.999


class _Convolution:
    """A 3 x 3 or 7 x 7 convolution whose weights lie as oneDNN wants them for ``shape`` (N, C, h, w)."""

    def __init__(self, conv: nn.Conv2d, weight: Tensor, bias: Tensor, shape: list[int]) -> None:
        self._how: list[Any] = [list(conv.padding), list(conv.stride), [1, 1], 1]
        pack: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        self._weight, self._bias = pack(weight.to_mkldnn(), *self._how, shape), bias

    def __call__(self, x: Tensor, relu: bool) -> Tensor:
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._weight, self._bias, *self._how, "relu" if relu else "none", [], ""
        )
        return out

    def add_relu(self, x: Tensor, skip: Tensor) -> Tensor:
        """ReLU(conv(x) + skip), written into ``skip``."""
        out: Tensor = torch.ops.mkldnn._convolution_pointwise_(
            skip, x, self._weight, self._bias, *self._how, "add", 1.0, "relu", [], ""
        )
        return out


class FusedResNet:
    """A :class:`faceunc.backbones.base.Backbone` with the numbers of the dlib backbone that it is made from.

    Raises:
        InputError: another backbone than dlib's, or a torch without these operators (a self-check is run).
    """

    def __init__(self, backbone: Backbone, precision: str) -> None:
        if not isinstance(backbone, TorchBackbone) or not isinstance(backbone.module, DlibResNet):
            raise InputError(f"only dlib's network has fused convolutions. Got {backbone.spec.name} instead.")
        self.spec, self.precision, self._type = backbone.spec, precision, _TYPES[precision]
        network = backbone.module
        try:
            self._stem, self._blocks = _packed(network, self.spec, self._type)
            self._linear = network.linear.weight.detach()
            cosine = _agreement(self, backbone)
        except (AttributeError, RuntimeError, TypeError) as error:  # private operators: they may change with torch
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"torch {torch.__version__} has no fused convolutions on this machine ({reason})"
            ) from None
        if not cosine >= _MIN_COSINE:
            raise InputError(f"fused convolutions of torch {torch.__version__} give other numbers: cosine {cosine:.4f}")

    @torch.no_grad()
    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Embed chips: see :class:`faceunc.backbones.base.Backbone`."""
        check_chips(chips, self.spec)
        if not len(chips):
            return empty_output(self.spec)
        parts = [self._run(chips[start : start + _CHUNK]) for start in range(0, len(chips), _CHUNK)]
        feature_map = torch.cat(parts)
        return output_of(feature_map, F.linear(feature_map.mean((2, 3)), self._linear))

    def _run(self, chips: NDArray[np.uint8]) -> Tensor:
        ordered = chips if self.spec.colour == "RGB" else chips[..., ::-1]
        shifted = (np.ascontiguousarray(ordered) ^ np.uint8(_SHIFT)).view(np.int8)  # p - 128 in two's complement
        pixels = torch.from_numpy(shifted).permute(0, 3, 1, 2)
        x = _pool(self._stem(pixels.to(self._type), relu=True))
        for block in self._blocks:
            x = block(x)
        return x.float().contiguous()


def _pool(x: Tensor) -> Tensor:
    """``F.max_pool2d(x, 3, 2)`` of what comes out of a ReLU, (N, C, H, W) with channels last, four times as fast.

    Floats without a sign are in the order of their bits, so their greatest is found as the greatest whole number.
    """
    bits = x.permute(0, 2, 3, 1).view(_BITS[x.dtype])
    rows = torch.maximum(torch.maximum(bits[:, 0:-2:2], bits[:, 1:-1:2]), bits[:, 2::2])
    most = torch.maximum(torch.maximum(rows[:, :, 0:-2:2], rows[:, :, 1:-1:2]), rows[:, :, 2::2])
    return most.view(x.dtype).permute(0, 3, 1, 2)


def _packed(
    network: DlibResNet, spec: BackboneSpec, kind: torch.dtype
) -> tuple[_Convolution, list[Callable[[Tensor], Tensor]]]:
    shapes = _input_shapes(network, spec)

    def pack(conv: Any) -> _Convolution:
        return _Convolution(conv, conv.weight.detach().to(kind), conv.bias.detach().to(kind), shapes[conv])

    weight, bias = _folded(network.stem, spec, kind)
    stem = _Convolution(network.stem, weight, bias, shapes[network.stem])
    blocks: list[Callable[[Tensor], Tensor]] = []
    for block in network.blocks:
        convs = pack(block.conv1), pack(block.conv2)
        blocks.append(_down(*convs) if block.down else _plain(*convs))
    return stem, blocks


def _plain(first: _Convolution, second: _Convolution) -> Callable[[Tensor], Tensor]:
    return lambda x: second.add_relu(first(x, relu=True), x)


def _down(first: _Convolution, second: _Convolution) -> Callable[[Tensor], Tensor]:
    """Both sides zero-padded at the end to the larger of the two, then added."""

    def run(x: Tensor) -> Tensor:
        skip, out = F.avg_pool2d(x, 2), second(first(x, relu=True), relu=False)
        height, width = (max(a, b) for a, b in zip(out.shape[2:], skip.shape[2:], strict=True))
        total = out
        if (height, width) != tuple(out.shape[2:]):
            total = F.pad(out, (0, width - out.shape[3], 0, height - out.shape[2]))
        total[:, : skip.shape[1], : skip.shape[2], : skip.shape[3]] += skip
        return F.relu_(total).contiguous(memory_format=torch.channels_last)

    return run


def _folded(stem: nn.Conv2d, spec: BackboneSpec, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights and bias of the stem that reads shifted pixels; the bias belongs to the weights as they are rounded."""
    weight = (stem.weight.detach().double() * spec.scale).to(kind)
    mean = torch.tensor(spec.mean, dtype=torch.float64).view(1, 3, 1, 1)
    assert stem.bias is not None
    bias = stem.bias.detach().double() - (weight.double() * (mean - _SHIFT)).sum((1, 2, 3))
    return weight, bias.to(kind)


@torch.no_grad()
def _input_shapes(network: DlibResNet, spec: BackboneSpec) -> dict[Any, list[int]]:
    """What each convolution reads for a full chunk."""
    shapes: dict[Any, list[int]] = {}

    def keep(conv: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[conv] = [_CHUNK, *inputs[0].shape[1:]]

    hooks = [m.register_forward_pre_hook(keep) for m in network.modules() if isinstance(m, nn.Conv2d)]
    network(torch.zeros(1, 3, spec.input_size, spec.input_size))
    for hook in hooks:
        hook.remove()
    return shapes


def _agreement(fused: FusedResNet, backbone: TorchBackbone) -> float:
    side = fused.spec.input_size
    chips = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8)
    return float((fused(chips).mean * backbone(chips).mean).sum())
