"""dlib's network in torch: against dlib itself, and its cache."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.backbones import dlib_resnet
from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.dlib_resnet import SPEC, WEIGHT_FILE, load_dlib_resnet, packaged_weight_file
from faceunc.backbones.dlib_weights import DlibWeights
from faceunc.errors import InputError
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.read import read_image
from faceunc.storage import sha256_file

Chips = NDArray[np.uint8]


@pytest.fixture(scope="module")
def backbone() -> TorchBackbone:
    return load_dlib_resnet(precision="float32")


@pytest.fixture(scope="module")
def lfw_chips(lfw: Path) -> Chips:
    """20 chips of 20 persons."""
    photos = [read_image(next(folder.glob("*.jpg"))) for folder in sorted(lfw.iterdir())[:4000:200]]
    points = centre_landmarks(250, 250)
    return np.stack([align_face(photo, points, SPEC.template, SPEC.input_size) for photo in photos])


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEUNC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forbid_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(data: bytes, source: str) -> DlibWeights:
        raise AssertionError("parsed again")

    monkeypatch.setattr(dlib_resnet, "parse_dlib_resnet", parse)


def test_parity_with_dlib(backbone: TorchBackbone, lfw_chips: Chips) -> None:
    dlib = pytest.importorskip("dlib")
    model = dlib.face_recognition_model_v1(str(packaged_weight_file()))
    expected = np.array([model.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in lfw_chips])
    output = backbone(lfw_chips)
    got = (output.mean * output.norm[:, None]).numpy()
    assert got.shape == (20, 128)
    assert np.abs(got - expected).max() < 1e-5


def test_output(backbone: TorchBackbone, lfw_chips: Chips) -> None:
    output = backbone(lfw_chips)
    assert output.feature_map.shape == (20, *SPEC.feature_shape)
    assert output.mean.shape == (20, SPEC.dim)
    torch.testing.assert_close(output.mean.norm(dim=1), torch.ones(20))
    assert 1.0 < float(output.norm.mean()) < 2.0
    pooled = output.feature_map.mean((2, 3)) @ backbone.module.linear.weight.T  # type: ignore[union-attr, operator]
    torch.testing.assert_close(pooled, output.mean * output.norm[:, None], atol=1e-5, rtol=1e-4)
    assert not output.mean.requires_grad


def test_one_by_one_is_the_batch(backbone: TorchBackbone, lfw_chips: Chips) -> None:
    alone = torch.cat([backbone(chip[None]).mean for chip in lfw_chips[:4]])
    torch.testing.assert_close(alone, backbone(lfw_chips[:4]).mean, atol=1e-5, rtol=0.0)


def test_no_chips(backbone: TorchBackbone) -> None:
    output = backbone(np.empty((0, 150, 150, 3), np.uint8))
    assert output.feature_map.shape == (0, 256, 2, 2)
    assert output.mean.shape == (0, 128)
    assert output.norm.shape == (0,)


def test_wrong_chips(backbone: TorchBackbone) -> None:
    with pytest.raises(InputError, match="dlib must be an array, uint8"):
        backbone(np.zeros((1, 112, 112, 3), np.uint8))
    with pytest.raises(InputError, match=r"\(N, 150, 150, 3\)\. Got list instead"):
        backbone([np.zeros((150, 150, 3), np.uint8)])  # type: ignore[arg-type]


def test_spec_carries_the_hash(backbone: TorchBackbone) -> None:
    assert backbone.spec.sha256 == sha256_file(packaged_weight_file())
    assert not any(parameter.requires_grad for parameter in backbone.module.parameters())


def test_cache_hit(own_cache: Path, backbone: TorchBackbone, monkeypatch: pytest.MonkeyPatch) -> None:
    load_dlib_resnet()
    assert len(list(own_cache.glob("dlib-resnet-*.safetensors"))) == 1
    forbid_parsing(monkeypatch)
    cached = load_dlib_resnet().module.state_dict()
    for name, value in backbone.module.state_dict().items():
        assert torch.equal(cached[name], value)


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "other source", "other network"])
def test_damaged_cache_is_written_anew(
    damage: str, own_cache: Path, backbone: TorchBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    load_dlib_resnet(precision="float32")
    (path,) = own_cache.glob("*.safetensors")
    good = path.read_bytes()
    if damage == "other source":
        save_file(load_file(path), path, {"source_sha256": "0" * 64})
    elif damage == "other network":
        save_file({"a": torch.ones(2)}, path, {"source_sha256": backbone.spec.sha256})
    else:
        path.write_bytes({"empty": b"", "garbage": b"garbage" * 9, "cut": good[:-100]}[damage])
    state = load_dlib_resnet(precision="float32").module.state_dict()
    assert torch.equal(state["stem.weight"], backbone.module.state_dict()["stem.weight"])
    assert path.read_bytes() == good
    forbid_parsing(monkeypatch)
    load_dlib_resnet(precision="float32")


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FACEUNC_CACHE", str(tmp_path / "file" / "cache"))
    assert load_dlib_resnet(precision="float32").spec.name == "dlib"


@pytest.mark.parametrize("content", [b"", b"\x01\x01\x01\x0dloss_metric_2", b"some other file"])
def test_foreign_file(content: bytes, own_cache: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.dat").write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.dat"):
        load_dlib_resnet(tmp_path / "weights.dat")
    assert not own_cache.exists()


def test_file_too_large(tmp_path: Path) -> None:
    with (tmp_path / "weights.dat").open("wb") as file:
        file.truncate(64_000_001)
    with pytest.raises(InputError, match="64,000,001"):
        load_dlib_resnet(tmp_path / "weights.dat")


def test_missing_file_and_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path, tmp_path / "none.dat"):
        with pytest.raises(InputError, match="no such file"):
            load_dlib_resnet(path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=f"{WEIGHT_FILE} not found: pip install face_recognition_models"):
        load_dlib_resnet()


def test_tells_people_apart(backbone: TorchBackbone, lfw: Path) -> None:
    names = [f"George_W_Bush/George_W_Bush_000{i}.jpg" for i in (1, 2, 3)] + ["Zico/Zico_0001.jpg"]
    points = centre_landmarks(250, 250)
    chips = np.stack([align_face(read_image(lfw / name), points, SPEC.template, 150) for name in names])
    similarity = (lambda m: m @ m.T)(backbone(chips).mean)
    assert similarity[:3, :3].min() > similarity[3, :3].max()


def test_a_blurred_chip_has_another_embedding(backbone: TorchBackbone, lfw_chips: Chips) -> None:
    blurred = np.stack([cv2.GaussianBlur(chip, (0, 0), 6) for chip in lfw_chips[:3]]).astype(np.uint8)
    cosine = (backbone(lfw_chips[:3]).mean * backbone(blurred).mean).sum(1)
    assert cosine.max() < 0.98
