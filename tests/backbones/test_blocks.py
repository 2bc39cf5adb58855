"""dlib's backbone cut between its blocks: both parts in turn are the whole, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.blocks import block_count, split_at
from faceunc.backbones.dlib_resnet import load_dlib_resnet
from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.torch_module import module_backbone
from faceunc.errors import InputError

CHIPS = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dlib(request: pytest.FixtureRequest) -> TorchBackbone:
    return load_dlib_resnet(precision=request.param)


@pytest.mark.parametrize("blocks", [0, 1, 7, 13, 14])
def test_below_and_above_are_the_backbone(blocks: int, dlib: TorchBackbone) -> None:
    below, above = split_at(dlib, blocks)
    activation = below(CHIPS)
    expected = dlib(CHIPS).feature_map
    for _again in range(2):  # the activation is not changed by its use
        feature_map = above(activation)
        assert torch.equal(feature_map, expected)
        assert (feature_map.dtype, feature_map.is_contiguous()) == (torch.float32, True)
    assert not activation.requires_grad


def test_shapes_of_activations(dlib: TorchBackbone) -> None:
    shapes = [tuple(split_at(dlib, blocks).below(CHIPS).shape[1:]) for blocks in (0, 3, 7, 10, 13, 14)]
    assert [shape[0] for shape in shapes] == [32, 32, 64, 128, 256, 256]
    assert shapes[-1] == dlib.spec.feature_shape


def test_what_follows_each_block(dlib: TorchBackbone) -> None:
    below, above = split_at(dlib, 11)
    seen = []

    def after(number: int, activation: Tensor) -> Tensor:
        seen.append(number)
        return torch.zeros_like(activation) if number == 14 else activation

    assert not above(below(CHIPS), after).any()
    assert seen == [11, 12, 13, 14]


def test_no_chips(dlib: TorchBackbone) -> None:
    below, above = split_at(dlib, 7)
    assert above(below(CHIPS[:0])).shape == (0, 256, 2, 2)


def test_chips_are_checked(dlib: TorchBackbone) -> None:
    with pytest.raises(InputError, match=r"uint8 \(N, 150, 150, 3\)"):
        split_at(dlib, 7).below(CHIPS.astype(np.float32))


@pytest.mark.parametrize("blocks", [-1, 15])
def test_number_of_blocks(blocks: int, dlib: TorchBackbone) -> None:
    assert block_count(dlib) == 14
    with pytest.raises(ValueError, match=rf"blocks must be in 0\.\.14\. Got {blocks} instead"):
        split_at(dlib, blocks)


def test_other_backbones() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.Flatten(), nn.Linear(64, 6))
    spec = BackboneSpec("mine", 32, "RGB", (0.0,) * 3, 1.0, ((1.0, 1.0),) * 5, 6, (4, 4, 4))
    backbone = module_backbone(module, spec, "0")
    for work in (block_count, lambda b: split_at(b, 0)):
        with pytest.raises(InputError, match=r"must be dlib's to be cut .* Got mine instead"):
            work(backbone)
