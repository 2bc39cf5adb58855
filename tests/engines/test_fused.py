"""Fused convolutions are the same network, and are refused where they cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from faceunc.backbones.base import TorchBackbone
from faceunc.engines import fused as module
from faceunc.engines.fused import FusedResNet
from faceunc.errors import InputError


@pytest.mark.parametrize("count", [1, 2, 31, 33, 70])
def test_float32_is_torchs(count: int, dlib: TorchBackbone, faces: NDArray[np.uint8]) -> None:
    chips = np.concatenate([faces] * 3)[:count]
    mine, theirs = FusedResNet(dlib, "float32")(chips), dlib(chips)
    torch.testing.assert_close(mine.feature_map, theirs.feature_map, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(mine.mean, theirs.mean, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(mine.norm, theirs.norm, atol=1e-5, rtol=0.0)


def test_bfloat16_is_as_near_as_autocast(dlib: TorchBackbone, faces: NDArray[np.uint8]) -> None:
    exact = dlib(faces).mean
    autocast = TorchBackbone(dlib.module, dlib.spec, "bfloat16")
    fused = FusedResNet(dlib, "bfloat16")
    lost = [float((1 - (backbone(faces).mean.double() * exact).sum(1)).max()) for backbone in (fused, autocast)]
    assert lost[0] < 1e-4
    assert lost[0] < lost[1]


def test_repeats_are_equal_and_nothing_is_written(dlib: TorchBackbone, faces: NDArray[np.uint8]) -> None:
    fused, before = FusedResNet(dlib, "bfloat16"), faces.copy()
    weights = {name: value.clone() for name, value in dlib.module.state_dict().items()}
    first, second = fused(faces), fused(faces)
    assert torch.equal(first.mean, second.mean)
    assert np.array_equal(faces, before)
    assert all(torch.equal(value, weights[name]) for name, value in dlib.module.state_dict().items())


def test_another_backbone(tiny: TorchBackbone) -> None:
    with pytest.raises(InputError, match=r"only dlib's network has fused convolutions\. Got tiny"):
        FusedResNet(tiny, "float32")


def test_a_torch_without_the_operators(dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
    with pytest.raises(InputError, match=r"has no fused convolutions on this machine \(.*mkldnn_reorder"):
        FusedResNet(dlib, "float32")


def test_a_torch_whose_operators_compute_something_else(dlib: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_skip(self: module._Convolution, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self(x, relu=True)

    monkeypatch.setattr(module._Convolution, "add_relu", no_skip)
    with pytest.raises(InputError, match=r"give other numbers: cosine"):
        FusedResNet(dlib, "float32")


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [(72, 72), (3, 3), (4, 5), (7, 8), (9, 4)])
def test_pooling_by_bits_is_pooling(size: tuple[int, int], kind: torch.dtype) -> None:
    noise = torch.randn(3, 5, *size, generator=torch.Generator().manual_seed(0))
    x = torch.relu(noise).to(kind).contiguous(memory_format=torch.channels_last)
    assert torch.equal(module._pool(x), F.max_pool2d(x, 3, 2))
