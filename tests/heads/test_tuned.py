"""A head with its own copy of the last blocks: at first the backbone's embedding, afterwards its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from faceunc.backbones.cut import cut_backbone
from faceunc.backbones.registry import load_backbone
from faceunc.errors import InputError
from faceunc.heads.store import load_head, save_head
from faceunc.heads.tuned import TunedConfig, TunedHead
from faceunc.training.methods import named_recipe


@pytest.fixture(scope="module")
def chips() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)


@pytest.mark.parametrize("cut", [10, 13])
def test_cut_backbone_gives_the_same_embeddings(cut: int, chips: np.ndarray) -> None:
    plain, lower = load_backbone("dlib", "float32"), load_backbone(f"dlib@{cut}", "float32")
    torch.testing.assert_close(lower(chips).mean, plain(chips).mean)
    assert lower.spec.name == f"dlib@{cut}"
    assert tuple(lower(chips).feature_map.shape[1:]) == lower.spec.feature_shape != plain.spec.feature_shape


@pytest.mark.parametrize("cut", [10, 13])
def test_begins_at_the_backbone_and_survives_the_disk(cut: int, chips: np.ndarray, tmp_path: Path) -> None:
    backbone = load_backbone(f"dlib@{cut}", "float32")
    head = named_recipe("dul-mls:start=tuned", backbone).pooling_head().eval()
    assert isinstance(head, TunedHead)
    output = backbone(chips)
    pooled = head.pool(output.feature_map)
    mean, log_var = head.embed(pooled, output.mean)
    torch.testing.assert_close(mean, output.mean, rtol=1e-4, atol=1e-5)
    assert log_var.shape == (3, 128)
    with torch.no_grad():
        head.blocks[0].conv1.weight.mul_(1.1)
    changed = head.embed(pooled, output.mean)[0]
    assert not torch.allclose(changed, output.mean, atol=1e-4)
    save_head(tmp_path / "t.safetensors", head, backbone.spec, {}, "dul-mls")
    stored = load_head(tmp_path / "t.safetensors").head
    assert isinstance(stored, TunedHead)
    torch.testing.assert_close(stored.embed(pooled, output.mean)[0], changed)


def test_gradients_reach_the_blocks_from_the_mean_only() -> None:
    head = TunedHead(TunedConfig((256, 5, 5), 128, members=1)).train()
    pooled = torch.rand(4, 256 * 5 * 5)
    head.member_outputs(pooled)[0].sum().backward()
    assert all(parameter.grad is None for parameter in head.blocks.parameters())
    head.raw_mean(pooled, torch.zeros(4, 128)).sum().backward()
    assert all(parameter.grad is not None for parameter in head.blocks.parameters())


def test_needs_a_cut_backbone() -> None:
    with pytest.raises(InputError, match="dlib@13"):
        named_recipe("dul-cls:start=tuned", load_backbone("dlib", "float32"))
    with pytest.raises(InputError, match=r"1\.\.13"):
        cut_backbone(load_backbone("dlib", "float32"), 14)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes no norm"):
        TunedConfig((256, 4, 4), 128, norm=True)
