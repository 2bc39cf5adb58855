"""Branches on disk: round trip, damage, strangers, and what is shipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from faceunc.detection.branch import BranchConfig, VarianceBranch
from faceunc.detection.features import LastStage
from faceunc.detection.sigma import DetectorSigma, load_detector_sigma
from faceunc.detection.store import SHIPPED, branch_path, load_branch, save_branch
from faceunc.errors import FaceuncError, IncompatibleError, InputError
from faceunc.heads.shipped import head_path, shipped_names
from faceunc.images.face_score import face_squares
from faceunc.storage import sha256_file


@pytest.fixture(scope="module")
def stage() -> LastStage:
    return LastStage()


def stored(folder: Path, stage: LastStage) -> tuple[Path, VarianceBranch]:
    torch.manual_seed(0)
    branch = VarianceBranch(BranchConfig(hidden=8))
    torch.nn.init.normal_(branch.out.weight, std=0.1)
    branch.standardise(torch.randn(50, 256))
    branch.rescale({"box": 1.5, "landmarks": 0.9})
    save_branch(folder / "mine.safetensors", branch, stage, {"seed": 3})
    return folder / "mine.safetensors", branch


def rewrite(path: Path, **changes: Any) -> None:
    """The same tensors under other metadata."""
    with safe_open(path, "pt") as file:
        metadata = dict(file.metadata())
    save_file(load_file(path), path, {**metadata, **changes})


def test_round_trip(tmp_path: Path, stage: LastStage) -> None:
    path, branch = stored(tmp_path, stage)
    found = load_branch(path)
    features = torch.randn(3, 256)
    assert torch.equal(found.branch(features), branch(features))
    assert not found.branch.training
    assert not any(p.requires_grad for p in found.branch.parameters())
    assert (found.card, found.name, found.sha256) == ({"seed": 3}, "mine", sha256_file(path))
    assert (found.branch.config, found.stage_sha256) == (branch.config, stage.sha256)
    found.check_stage(stage)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.9, 0.999])
def test_truncated_file(tmp_path: Path, stage: LastStage, share: float) -> None:
    path, _ = stored(tmp_path, stage)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"mine\.safetensors"):
        load_branch(path)


def test_missing_junk_and_heads(tmp_path: Path, tiny_head: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_branch(tmp_path / "mine.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"\x80\x04junk" * 40)
    with pytest.raises(InputError, match="damaged or foreign"):
        load_branch(tmp_path / "junk.safetensors")
    with pytest.raises(InputError, match="expected faceunc-detector-sigma-1"):
        load_branch(tiny_head)


@pytest.mark.parametrize(
    "config",
    ['{"hidden": 9}', '{"hidden": -1}', '{"hidden": 1e99}', '{"hidden": "8"}', '{"depth": 3}', "[]", "{", "7"],
)
def test_lies_in_the_metadata(tmp_path: Path, stage: LastStage, config: str) -> None:
    path, _ = stored(tmp_path, stage)
    rewrite(path, config=config)
    with pytest.raises(InputError, match=r"mine\.safetensors: damaged or foreign"):
        load_branch(path)


def test_other_types_and_other_networks(tmp_path: Path, stage: LastStage) -> None:
    path, _ = stored(tmp_path, stage)
    rewrite(path, onet_sha256="0" * 64)
    with pytest.raises(IncompatibleError, match="trained on an O-Net"):
        DetectorSigma(load_branch(path))
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file({name: value.double() for name, value in load_file(path).items()}, path, metadata)
    with pytest.raises(InputError, match="float32"):
        load_branch(path)


def test_names() -> None:
    assert branch_path(SHIPPED).name == "mtcnn-sigma.safetensors"
    assert branch_path("a/b.safetensors") == Path("a/b.safetensors")
    with pytest.raises(InputError, match="mtcnn-sigma, or a path"):
        branch_path("photo.jpg")


def test_it_is_no_head() -> None:
    assert SHIPPED not in shipped_names()
    with pytest.raises(FaceuncError, match="head must be one of"):
        head_path(SHIPPED)


def test_sigma_in_pixels_grows_with_the_photograph(
    tmp_path: Path, stage: LastStage, astronaut: NDArray[np.uint8]
) -> None:
    """Twice the pixels: twice the sigma. Box and landmarks are root mean squares."""
    path, _ = stored(tmp_path, stage)
    detector = load_detector_sigma(path)
    points = np.array([[[204, 108], [244, 112], [226, 135], [202, 153], [240, 156]]], np.float64)
    large = np.repeat(np.repeat(astronaut, 2, axis=0), 2, axis=1)
    one, two = detector([astronaut], points), detector([large], 2 * points)
    assert one.sigma.shape == (1, 14)
    np.testing.assert_allclose(two.sigma, 2 * one.sigma, rtol=0.05)
    assert one.box[0] == pytest.approx(np.sqrt((one.sigma[0, :4] ** 2).mean()), rel=1e-5)
    assert one.landmarks[0] == pytest.approx(np.sqrt((one.sigma[0, 4:] ** 2).mean()), rel=1e-5)
    side = face_squares(points)[1][0]
    assert 0.001 * side < one.box[0] < side
    assert len(detector([], np.empty((0, 5, 2)))) == 0


@pytest.mark.skipif(not branch_path().is_file(), reason="pretrained/mtcnn-sigma.safetensors is missing")
def test_the_shipped_one_fits_its_card(stage: LastStage) -> None:
    found = load_branch(branch_path())
    found.check_stage(stage)
    card = json.loads(branch_path().with_suffix(".json").read_text())
    assert card["sha256"] == found.sha256
    assert card["onet_sha256"] == stage.sha256
    assert len(card["identity_hashes"]) > 5000
    assert card["identity_hashes"] == found.card["identity_hashes"]
