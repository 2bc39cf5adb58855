"""Head files from strangers: what their text promises is bounded before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import InputError
from faceunc.heads.build import MAX_HEADS, read_config
from faceunc.heads.ensemble import EnsembleConfig, EnsembleHead
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.heads.store import load_head, save_head

SPEC = BackboneSpec("pretend", 8, "RGB", (0, 0, 0), 1.0, ((0, 0),) * 5, 5, (6, 3, 2))  # type: ignore[arg-type]
GOOD = PFEConfig((6, 3, 2), 5, hidden=4, members=1).to_dict()


@pytest.mark.parametrize(
    "values",
    [
        {"heads": []},
        {"heads": [GOOD] * (MAX_HEADS + 1)},
        {"heads": [{"heads": [GOOD]}]},
        {"heads": [GOOD, {**GOOD, "variance": "scalar"}]},
        {"heads": [GOOD, {**GOOD, "dim": 6}]},
        {"heads": [GOOD, {**GOOD, "start": "pretrained"}]},
        {**GOOD, "members": 50_000},
        {**GOOD, "members": 0},
        {**GOOD, "hidden": 10**9},
        {**GOOD, "spread": "1"},
        {**GOOD, "spread": float("nan")},
        {**GOOD, "start": "pretrained", "step": float("nan")},
    ],
)
def test_wrong_configurations(values: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_config(values)


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    head = PFEHead(PFEConfig(**{**GOOD, "feature_shape": (6, 3, 2)}))
    with torch.no_grad():
        next(head.bodies.parameters()).fill_(float("nan"))
    save_head(tmp_path / "h.safetensors", head, SPEC, {})
    with pytest.raises(InputError, match="not finite"):
        load_head(tmp_path / "h.safetensors")


def test_an_ensemble_comes_back(tmp_path: Path) -> None:
    config = PFEConfig(**{**GOOD, "feature_shape": (6, 3, 2)})
    head = EnsembleHead(EnsembleConfig.of([config, config]), [PFEHead(config), PFEHead(config)]).eval()
    save_head(tmp_path / "e.safetensors", head, SPEC, {})
    stored = load_head(tmp_path / "e.safetensors").head
    pooled, mean = torch.rand(3, 12), torch.nn.functional.normalize(torch.rand(3, 5), dim=1)
    torch.testing.assert_close(stored.embed(pooled, mean), head.embed(pooled, mean))
    assert not head.moves_mean
    assert bool((head.combined(pooled, mean).epistemic == 0).all())
