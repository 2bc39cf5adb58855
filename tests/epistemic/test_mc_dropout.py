"""Dropout on frozen backbones: what the passes give, and that the backbone does not notice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from faceunc.backbones.base import BackboneOutput, TorchBackbone
from faceunc.backbones.dlib_resnet import load_dlib_resnet
from faceunc.backbones.facenet import load_facenet
from faceunc.backbones.precision import ASTRONAUT_POINTS
from faceunc.epistemic import dropout as module
from faceunc.epistemic.decomposition import decompose_embeddings
from faceunc.epistemic.dropout import BEFORE_BOTTLENECK, DropoutPlan, McDropout, dropout_masks, stochastic_last
from faceunc.errors import InputError
from faceunc.images.align import align_face
from faceunc.images.degrade import Degradation, degrade

Chips = NDArray[np.uint8]
PLANS = [DropoutPlan(), DropoutPlan((14,)), DropoutPlan((5, 14), before_bottleneck=False)]
PLAN_NAMES = ["bottleneck", "last block and bottleneck", "two blocks"]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def dlib(request: pytest.FixtureRequest) -> TorchBackbone:
    return load_dlib_resnet(precision=request.param)


@pytest.fixture(scope="module")
def dlib32() -> TorchBackbone:
    return load_dlib_resnet(precision="float32")


@pytest.fixture(scope="module")
def chips(astronaut: NDArray[np.uint8], dlib32: TorchBackbone) -> Chips:
    """A face, the same blurred, and two of noise."""
    face = align_face(astronaut, ASTRONAUT_POINTS, dlib32.spec.template, 150)
    noise = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)
    return np.stack([face, degrade(face, Degradation("blur", 0.9)), *noise])


@pytest.fixture(scope="module")
def facenet(tmp_path_factory: pytest.TempPathFactory) -> TorchBackbone:
    """InceptionResnetV1, full of BatchNorm, with random weights."""
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("facenet") / "w.pt"
    torch.save(InceptionResnetV1().state_dict(), path)
    return load_facenet("vggface2", path, "float32")


def same(one: BackboneOutput, other: BackboneOutput) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("plan", PLANS, ids=PLAN_NAMES)
def test_the_backbone_does_not_notice(plan: DropoutPlan, dlib: TorchBackbone, chips: Chips) -> None:
    before = dlib(chips)
    weights = {name: value.clone() for name, value in dlib.module.state_dict().items()}
    torch.manual_seed(7)
    state = torch.random.get_rng_state()
    McDropout(dlib, plan, 2)(chips)
    assert same(dlib(chips), before)
    assert all(torch.equal(value, weights[name]) for name, value in dlib.module.state_dict().items())
    assert not any(layer._forward_hooks for layer in dlib.module.modules())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_batch_norm_keeps_its_statistics_and_stays_in_eval(facenet: TorchBackbone) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)
    before = facenet(chips)
    statistics = {name: value.clone() for name, value in facenet.module.state_dict().items()}
    dropout = McDropout(facenet, passes=5)
    dropout.tail.train()  # what a user may do by mistake
    embeddings = dropout(chips)
    assert embeddings.shape == (5, 2, 512)
    for network in (facenet.module, dropout.tail):
        norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
        assert norms
        assert not any(layer.training for layer in norms)
    assert all(torch.equal(value, statistics[name]) for name, value in facenet.module.state_dict().items())
    assert same(facenet(chips), before)
    alone = torch.cat([dropout(chips[:1]), dropout(chips[1:])], 1)
    torch.testing.assert_close(alone, embeddings, atol=1e-5, rtol=0.0)


@pytest.mark.parametrize("after_blocks", [(), (14,), (1, 7, 14)])
def test_rate_0_is_the_plain_embedding(after_blocks: tuple[int, ...], dlib: TorchBackbone, chips: Chips) -> None:
    embeddings = McDropout(dlib, DropoutPlan(after_blocks, rate=0.0), 3)(chips)
    # below float32's rounding only where both average in float32; bfloat16 rounds before the linear layer
    tolerance = 1e-6 if dlib.precision == "float32" else 5e-3
    torch.testing.assert_close(embeddings, dlib(chips).mean.expand(3, -1, -1), atol=tolerance, rtol=0.0)
    parts = decompose_embeddings(embeddings)
    assert torch.equal(parts.epistemic, torch.zeros(len(chips)))


def test_before_the_bottleneck_by_hand(dlib32: TorchBackbone, chips: Chips) -> None:
    embeddings = McDropout(dlib32, DropoutPlan(rate=0.3), 6, seed=4)(chips)
    assert embeddings.shape == (6, len(chips), 128)
    pooled = dlib32(chips).feature_map.mean((2, 3))
    for member, mask in enumerate(dropout_masks(6, 256, 0.3, 4)):
        expected = F.normalize((pooled * mask) @ dlib32.module.linear.weight.T, dim=1)
        torch.testing.assert_close(embeddings[member], expected, atol=1e-5, rtol=0.0)


def test_after_blocks_by_hand(dlib32: TorchBackbone, chips: Chips) -> None:
    network = dlib32.module
    embeddings = McDropout(dlib32, DropoutPlan((13, 14), rate=0.2), 2, seed=1)(chips)
    x = torch.from_numpy(chips).permute(0, 3, 1, 2).float()
    x = (x - torch.tensor(dlib32.spec.mean).view(1, 3, 1, 1)) / 256.0
    with torch.no_grad():
        below = network.blocks[:13](F.max_pool2d(F.relu(network.stem(x)), 3, 2))
        for member in range(2):
            masks = [dropout_masks(2, 256, 0.2, 1, place)[member] for place in (13, 14, BEFORE_BOTTLENECK)]
            top = network.blocks[13](below * masks[0][:, None, None]) * masks[1][:, None, None]
            expected = F.normalize(network.linear(top.mean((2, 3)) * masks[2]), dim=1)
            torch.testing.assert_close(embeddings[member], expected, atol=1e-5, rtol=0.0)


def test_from_cached_features(dlib32: TorchBackbone, chips: Chips) -> None:
    dropout = McDropout(dlib32, passes=8)
    feature_map = dlib32(chips).feature_map
    assert torch.equal(dropout.from_features(feature_map), dropout(chips))
    # the cache holds float16
    torch.testing.assert_close(dropout.from_features(feature_map.half()), dropout(chips), atol=1e-3, rtol=0.0)
    assert torch.equal(dropout.decompose_features(feature_map).epistemic, dropout.decompose(chips).epistemic)


@pytest.mark.parametrize("plan", PLANS, ids=PLAN_NAMES)
def test_deterministic_and_independent_of_the_batch(
    plan: DropoutPlan, dlib32: TorchBackbone, chips: Chips, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropout = McDropout(dlib32, plan, 3)
    whole = dropout(chips)
    assert torch.equal(McDropout(dlib32, plan, 3)(chips), whole)
    assert not torch.equal(McDropout(dlib32, plan, 3, seed=1)(chips), whole)
    torch.testing.assert_close(dropout(chips[::-1].copy()).flip(1), whole, atol=1e-5, rtol=0.0)
    monkeypatch.setattr(module, "_BATCH", 3)
    monkeypatch.setattr(module, "_BLOCK_ELEMENTS", 1)
    torch.testing.assert_close(dropout(chips), whole, atol=1e-5, rtol=0.0)
    assert dropout(chips[:0]).shape == (3, 0, 128)


def test_members_differ_and_are_unit_vectors(dlib32: TorchBackbone, chips: Chips) -> None:
    embeddings = McDropout(dlib32, passes=20)(chips)
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(20, len(chips)))
    assert len(torch.unique(embeddings[:, 0], dim=0)) == 20
    assert not embeddings.requires_grad


def test_decompose(dlib32: TorchBackbone, chips: Chips) -> None:
    few, many = (McDropout(dlib32, DropoutPlan(rate=rate)).decompose(chips) for rate in (0.05, 0.4))
    assert many.epistemic.shape == (len(chips),)
    assert (many.epistemic > few.epistemic).all()
    assert not few.aleatoric.any()
    # the mean of many sampled networks is close to the network itself
    assert (few.mean * dlib32(chips).mean).sum(1).min() > 0.99


def test_masks() -> None:
    masks = dropout_masks(2000, 50, 0.3, seed=2)
    assert masks.unique().tolist() == pytest.approx([0.0, 1.0 / 0.7])
    assert masks.mean().item() == pytest.approx(1.0, abs=0.01)
    assert torch.equal(dropout_masks(10, 50, 0.3, seed=2), masks[:10])
    places = torch.stack([dropout_masks(2000, 50, 0.3, 2, place).flatten() for place in (-1, 0, 1, 14)])
    correlation = np.corrcoef(places.numpy())
    assert np.abs(correlation - np.eye(4)).max() < 0.02
    assert torch.equal(dropout_masks(3, 5, 0.0), torch.ones(3, 5))


def test_stochastic_last_is_a_loop() -> None:
    reduced, masks = torch.randn(4, 6), dropout_masks(3, 6, 0.5)
    last = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)).eval()
    expected = torch.stack([F.normalize(last(mask * reduced), dim=1) for mask in masks])
    torch.testing.assert_close(stochastic_last(reduced, last, masks), expected)


def test_what_is_refused(dlib32: TorchBackbone, facenet: TorchBackbone, chips: Chips) -> None:
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=r"rate must be in \[0, 1\)"):
            DropoutPlan(rate=rate)
    with pytest.raises(ValueError, match="must drop out somewhere"):
        DropoutPlan(before_bottleneck=False)
    with pytest.raises(ValueError, match=r"numbers from 1. Got \(0, 3\)"):
        DropoutPlan((0, 3))
    with pytest.raises(ValueError, match=r"numbers up to 14. Got 15"):
        McDropout(dlib32, DropoutPlan((3, 15)))
    with pytest.raises(ValueError, match="passes must be at least 1"):
        McDropout(dlib32, passes=0)
    with pytest.raises(InputError, match=r"must be dlib's to be cut between its blocks\. Got facenet-vggface2"):
        McDropout(facenet, DropoutPlan((1,)))
    with pytest.raises(ValueError, match="a plan without after_blocks"):
        McDropout(dlib32, DropoutPlan((14,)), 2).from_features(torch.zeros(1, 256, 2, 2))
    for plan in PLANS:
        with pytest.raises(InputError, match=r"uint8 \(N, 150, 150, 3\)"):
            McDropout(dlib32, plan, 2)(chips[0])


def test_arcface_onnx(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    if not (shared_data / "backbones" / "mobilefacenet_arcface.onnx").is_file():
        pytest.skip("the ArcFace model is missing")
    from faceunc.backbones.onnx import load_onnx

    monkeypatch.setenv("FACEUNC_DATA", str(shared_data))
    backbone = load_onnx(Path(__file__).resolve().parents[2] / "eval" / "backbones" / "mobilefacenet_arcface.json")
    chips = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    plain = McDropout(backbone, DropoutPlan(rate=0.0), 2)(chips)
    torch.testing.assert_close(plain, backbone(chips).mean.expand(2, -1, -1), atol=1e-5, rtol=0.0)
    assert McDropout(backbone, passes=10).decompose(chips).epistemic.min() > 0.0
