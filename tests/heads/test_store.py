"""Heads on disk: round trip, damage, and strangers."""

from __future__ import annotations

import itertools
import json
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import IncompatibleError, InputError
from faceunc.heads.pfe import ARCHITECTURES, VARIANCES, PFEConfig, PFEHead
from faceunc.heads.store import load_head, save_head
from faceunc.storage import sha256_file

POINTS = ((4.0, 5.0), (11.0, 5.0), (8.0, 8.0), (5.0, 11.0), (10.0, 11.0))
SPEC = BackboneSpec("tiny", 16, "RGB", (0.0, 0.0, 0.0), 1.0, POINTS, 5, (6, 3, 2), sha256="abc")


def stored(folder: Path, architecture: str = "pooled", variance: str = "scalar") -> tuple[Path, PFEHead]:
    torch.manual_seed(0)
    head = PFEHead(PFEConfig((6, 3, 2), 5, architecture, variance, hidden=8))
    head(torch.randn(4, 6, 3, 2))  # so that the running statistics are not those of a new head
    save_head(folder / "mine.safetensors", head, SPEC, {"seed": 3, "data": "made up"})
    return folder / "mine.safetensors", head


def rewrite(path: Path, **changes: Any) -> None:
    """The same tensors under other metadata; ``config`` changes are merged into the config."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    if isinstance(changes.get("config"), dict):
        changes["config"] = json.dumps({**json.loads(metadata["config"]), **changes["config"]})
    save_file(load_file(path), path, {**metadata, **changes})


@pytest.mark.parametrize(("architecture", "variance"), list(itertools.product(ARCHITECTURES, VARIANCES)))
def test_round_trip(tmp_path: Path, architecture: str, variance: str) -> None:
    path, head = stored(tmp_path, architecture, variance)
    found = load_head(path)
    maps = torch.randn(3, 6, 3, 2)
    assert torch.equal(found.head(maps), head.eval()(maps))
    assert found.head.config == head.config
    assert not found.head.training
    assert not any(p.requires_grad for p in found.head.parameters())
    assert (found.method, found.backbone, found.backbone_sha256) == ("pfe", "tiny", "abc")
    assert (found.alignment, found.card) == (SPEC.alignment, {"seed": 3, "data": "made up"})
    assert (found.name, found.sha256) == ("mine", sha256_file(path))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.9, 0.999])
def test_truncated_file(tmp_path: Path, share: float) -> None:
    path, _ = stored(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"mine\.safetensors"):
        load_head(path)


def test_missing_junk_and_foreign_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    for expected in ("no such file", "damaged or foreign", "expected faceunc-head-1"):
        with pytest.raises(InputError, match=expected):
            load_head(path)
        if expected == "no such file":
            path.write_bytes(bytes(range(256)) * 30)
        else:
            save_file({"weight": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"dim": 6, "variance": "per-dimension"}},
        {"config": {"hidden": 9}},
        {"config": {"hidden": -1}},
        {"config": {"hidden": "many"}},
        {"config": {"architecture": "paper"}},
        {"config": {"architecture": "unheard-of"}},
        {"config": {"feature_shape": [6]}},
        {"config": {"surprise": 1}},
        {"config": {"dropout": 7.0}},
        {"config": "[]"},
        {"config": "{"},
        {"card": "{"},
    ],
)
def test_metadata_that_does_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    path, _ = stored(tmp_path)
    rewrite(path, **changes)
    with pytest.raises(InputError, match="damaged or foreign"):
        load_head(path)


def test_missing_tensor(tmp_path: Path) -> None:
    path, _ = stored(tmp_path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    state.pop("bodies.1.1.weight")
    save_file(state, path, metadata)
    with pytest.raises(InputError, match="damaged or foreign"):
        load_head(path)


@pytest.mark.parametrize("hidden", [10**7, 10**9, 10**12, 10**18, 10**40])
def test_a_huge_promise_allocates_nothing(tmp_path: Path, hidden: int) -> None:
    path, _ = stored(tmp_path)
    rewrite(path, config={"hidden": hidden})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="damaged or foreign"):
        load_head(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_backbone_must_be_the_one_of_training(tmp_path: Path) -> None:
    head = load_head(stored(tmp_path)[0])
    head.check_backbone(SPEC)
    other_points = ((4.5, 5.0), *POINTS[1:])
    for change in ({"name": "other"}, {"sha256": "abd"}, {"template": other_points}, {"input_size": 17}):
        with pytest.raises(IncompatibleError, match="mine was trained on"):
            head.check_backbone(replace(SPEC, **change))
