"""Any torch module becomes a backbone when its layers and shapes are as told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from faceunc.backbones.spec import BackboneSpec
from faceunc.backbones.torch_module import module_backbone
from faceunc.engines.torch_engine import compiled, no_compiler
from faceunc.errors import InputError
from faceunc.threads import in_order

SPEC = BackboneSpec(
    name="toy",
    input_size=16,
    colour="BGR",
    mean=(1.0, 2.0, 3.0),
    scale=0.1,
    template=((5.0, 5.0), (11.0, 5.0), (8.0, 8.0), (5.0, 11.0), (11.0, 11.0)),
    dim=6,
    feature_shape=(4, 8, 8),
)
CHIPS = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)


class Toy(nn.Module):
    """conv -> dropout, pool -> linear -> twice it; ``unused`` is never called, ``pair`` gives two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Dropout(0.5))
        self.pair = nn.LSTM(4, 4)
        self.linear = nn.Linear(4, 6)
        self.unused = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.body(x).mean((2, 3))
        self.pair(pooled)
        out: Tensor = 2 * self.linear(pooled)
        return out


@pytest.fixture
def toy() -> Toy:
    torch.manual_seed(0)
    return Toy()


def expected(toy: Toy) -> tuple[Tensor, Tensor]:
    pixels = torch.from_numpy(CHIPS[..., ::-1].copy()).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        feature_map = toy.body[0]((pixels - torch.tensor(SPEC.mean).view(1, 3, 1, 1)) * 0.1)
        return feature_map, toy.linear(feature_map.mean((2, 3)))


@pytest.mark.parametrize(("layer", "factor"), [(None, 2.0), ("linear", 1.0)])
def test_named_layers(layer: str | None, factor: float, toy: Toy) -> None:
    output = module_backbone(toy, SPEC, "body", layer)(CHIPS)
    feature_map, raw = expected(toy)
    torch.testing.assert_close(output.feature_map, feature_map)
    torch.testing.assert_close(output.norm, factor * raw.norm(dim=1))
    torch.testing.assert_close(output.mean, raw / raw.norm(dim=1, keepdim=True))


def test_frozen_even_when_set_to_training(toy: Toy) -> None:
    backbone = module_backbone(toy, SPEC, "body")
    toy.train()
    output = backbone(CHIPS)
    assert torch.equal(output.mean, backbone(CHIPS).mean)
    assert not output.mean.requires_grad
    assert not output.feature_map.requires_grad


def test_deep_layer_name(toy: Toy) -> None:
    assert module_backbone(toy, SPEC, "body.0")(CHIPS).feature_map.shape == (3, 4, 8, 8)


@pytest.mark.parametrize("layers", [("nothing",), ("",), ("body.7",), ("body", "nothing"), ("body", "")])
def test_unknown_layer_lists_the_known(layers: tuple[str, ...], toy: Toy) -> None:
    with pytest.raises(InputError, match="such as body, pair, linear, unused"):
        module_backbone(toy, SPEC, *layers)


@pytest.mark.parametrize(
    ("layers", "role"),
    [
        (("unused",), "features"),
        (("pair",), "features"),
        (("body", "unused"), "embedding"),
        (("body", "pair"), "embedding"),
    ],
)
def test_layer_without_a_tensor(layers: tuple[str, ...], role: str, toy: Toy) -> None:
    with pytest.raises(InputError, match=f"the {role} layer gave no tensor"):
        module_backbone(toy, SPEC, *layers)


@pytest.mark.parametrize(
    "change", [{"dim": 5}, {"feature_shape": (4, 7, 8)}, {"feature_shape": (8, 8, 4)}, {"input_size": 24}]
)
def test_shapes_that_differ_from_the_spec(change: dict[str, Any], toy: Toy) -> None:
    with pytest.raises(InputError, match="the spec says"):
        module_backbone(toy, replace(SPEC, **change), "body")


def test_module_that_does_not_take_the_input() -> None:
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten())
    with pytest.raises(InputError, match=r"toy: the module does not take \(1, 3, 16, 16\)"):
        module_backbone(grey, SPEC, "0")


def test_precision(toy: Toy) -> None:
    assert module_backbone(toy, SPEC, "body", precision="bfloat16").precision == "bfloat16"
    with pytest.raises(InputError, match="precision"):
        module_backbone(toy, SPEC, "body", precision="half")


def test_no_chips(toy: Toy) -> None:
    output = module_backbone(toy, SPEC, "body")(CHIPS[:0])
    assert output.feature_map.shape == (0, 4, 8, 8)


def test_two_modules_in_memory_are_told_apart() -> None:
    hashes = set()
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, stride=8), torch.nn.Flatten(), torch.nn.Linear(64, 6))
        spec = BackboneSpec("mine", 32, "RGB", (0.0,) * 3, 1.0, ((1.0, 1.0),) * 5, 6, (4, 4, 4))
        hashes.add(module_backbone(module, spec, "0").spec.sha256)
    assert len(hashes) == 2


@pytest.mark.parametrize("compiling", [False, True])
def test_batches_side_by_side_do_not_see_each_other(toy: Toy, compiling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not while another thread compiles something, either: torch's mark of that holds for the whole process."""
    monkeypatch.setattr(torch.compiler, "_is_compiling_flag", compiling, raising=False)
    backbone = module_backbone(toy, SPEC, "body")
    rng = np.random.default_rng(1)
    batches = [rng.integers(0, 256, (32, 16, 16, 3), np.uint8) for _ in range(200)]
    expected = [backbone(batch).feature_map for batch in batches]
    for found, wanted in zip(in_order(backbone, batches), expected, strict=True):
        torch.testing.assert_close(found.feature_map, wanted)


@pytest.mark.slow
@pytest.mark.skipif(bool(no_compiler()), reason=no_compiler())
def test_compiled_in_threads() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 6))
    backbone = module_backbone(module, SPEC, "1")
    batches = [np.random.default_rng(seed).integers(0, 256, (32, 16, 16, 3), np.uint8) for seed in range(6)]
    torch._dynamo.utils.counters.clear()
    model = compiled(backbone, "float32")
    with ThreadPoolExecutor(1) as other:
        found = [model(batches[0]), *other.map(model, batches[1:])]
    for output, batch in zip(found, batches, strict=True):
        wanted = backbone(batch)
        torch.testing.assert_close(output.feature_map, wanted.feature_map)
        torch.testing.assert_close(output.mean, wanted.mean)
    stats = torch._dynamo.utils.counters
    assert (stats["stats"]["unique_graphs"], dict(stats["graph_break"])) == (1, {})
    assert stats["frames"]["ok"] == 1, "compiled anew for another thread"
