"""The shipped ONNX spec with its real model, and every way in which spec and model can disagree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from faceunc.backbones.onnx import OnnxBackbone, load_onnx
from faceunc.backbones.registry import load_backbone
from faceunc.errors import InputError
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.read import read_image
from faceunc.storage import sha256_file

pytest.importorskip("onnxruntime")
SPEC_FILE = Path(__file__).resolve().parents[2] / "eval" / "backbones" / "mobilefacenet_arcface.json"


@pytest.fixture
def model(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = shared_data / "backbones" / "mobilefacenet_arcface.onnx"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    monkeypatch.setenv("FACEUNC_DATA", str(shared_data))
    return path


@pytest.fixture
def backbone(model: Path) -> OnnxBackbone:
    return load_onnx(SPEC_FILE)


def changed_spec(folder: Path, **changes: Any) -> Path:
    """A copy of the shipped spec with some values changed, or left out (None)."""
    values = {**json.loads(SPEC_FILE.read_text()), **changes}
    path = folder / "spec.json"
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not None}))
    return path


def test_real_spec(backbone: OnnxBackbone, model: Path) -> None:
    output = backbone(np.random.default_rng(0).integers(0, 256, (20, 112, 112, 3), np.uint8))
    assert output.feature_map.shape == (20, 512, 7, 7)
    assert output.mean.shape == (20, 128)
    torch.testing.assert_close(output.mean.norm(dim=1), torch.ones(20))
    assert (output.norm - 1.0).abs().min() > 0.01
    assert backbone.spec.sha256 == sha256_file(model)


def test_more_chips_than_one_call_takes(backbone: OnnxBackbone) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (18, 112, 112, 3), np.uint8)
    alone = torch.cat([backbone(chips[i : i + 1]).mean for i in (0, 15, 16, 17)])
    torch.testing.assert_close(backbone(chips).mean[[0, 15, 16, 17]], alone, atol=1e-4, rtol=0.0)


def test_tells_people_apart(backbone: OnnxBackbone, lfw: Path) -> None:
    names = [f"George_W_Bush/George_W_Bush_000{i}.jpg" for i in (1, 2, 3)] + ["Zico/Zico_0001.jpg"]
    points = centre_landmarks(250, 250)
    chips = np.stack([align_face(read_image(lfw / name), points, backbone.spec.template, 112) for name in names])
    mean = backbone(chips).mean
    similarity = mean @ mean.T
    assert similarity[:3, :3].min() > similarity[3, :3].max() + 0.1


def test_colour_order_is_turned(model: Path, tmp_path: Path) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    turned = load_onnx(changed_spec(tmp_path, colour="BGR", model=str(model)))(chips[..., ::-1])
    torch.testing.assert_close(turned.mean, load_onnx(SPEC_FILE)(chips).mean, atol=1e-5, rtol=0.0)


def test_mean_and_scale_are_applied(model: Path, tmp_path: Path) -> None:
    """(2 p - 0) / 2 and ((p + 5) - 5) are both p."""
    chips = np.random.default_rng(0).integers(0, 120, (2, 112, 112, 3), np.uint8)
    reference = load_onnx(SPEC_FILE)(chips).mean
    halved = load_onnx(changed_spec(tmp_path, scale=0.5, model=str(model)))(2 * chips).mean
    brighter = chips + np.array([5, 6, 7], np.uint8)
    shifted = load_onnx(changed_spec(tmp_path, mean=[5, 6, 7], model=str(model)))(brighter).mean
    torch.testing.assert_close(halved, reference, atol=1e-5, rtol=0.0)
    torch.testing.assert_close(shifted, reference, atol=1e-5, rtol=0.0)


def test_no_chips_and_wrong_chips(backbone: OnnxBackbone) -> None:
    assert backbone(np.empty((0, 112, 112, 3), np.uint8)).feature_map.shape == (0, 512, 7, 7)
    with pytest.raises(InputError, match=r"\(N, 112, 112, 3\)"):
        backbone(np.zeros((1, 150, 150, 3), np.uint8))


def test_by_name(model: Path) -> None:
    assert load_backbone(str(SPEC_FILE)).spec.name == "mobilefacenet-arcface"


def test_unset_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEUNC_DATA", raising=False)
    with pytest.raises(InputError, match="set that environment variable"):
        load_onnx(SPEC_FILE)


def test_missing_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEUNC_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"does not exist$"):
        load_onnx(SPEC_FILE)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x07\x12\x00"])
def test_garbage_model(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.onnx"):
        load_onnx(changed_spec(tmp_path, model="m.onnx"))


def test_truncated_model(model: Path, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model.read_bytes()[:2_000_000])
    with pytest.raises(InputError, match="not a model that onnxruntime can load"):
        load_onnx(changed_spec(tmp_path, model="m.onnx"))


@pytest.mark.parametrize("sha256", ["0" * 64, "abc"])
def test_wrong_hash(sha256: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"expected sha256 {sha256}, got {sha256_file(model)}"):
        load_onnx(changed_spec(tmp_path, model=str(model), sha256=sha256))


def test_right_hash(model: Path, tmp_path: Path) -> None:
    digest = sha256_file(model)
    assert load_onnx(changed_spec(tmp_path, model=str(model), sha256=digest)).spec.sha256 == digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "picture"}, "does not fit its spec"),
        ({"embedding_output": "vector"}, "does not fit its spec"),
        ({"feature_output": "map"}, "does not fit its spec"),
        ({"input_size": 96}, "spec"),
        ({"dim": 512}, "dim 512. Got"),
        ({"feature_shape": [512, 6, 7]}, "Got"),
    ],
)
def test_spec_that_does_not_fit_the_graph(changes: dict[str, Any], message: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"mobilefacenet_arcface\.onnx: .*{message}"):
        load_onnx(changed_spec(tmp_path, model=str(model), **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "needs the texts"),
        ({"input": 3}, "needs the texts"),
        ({"dim": None}, "missing fields"),
        ({"extra": 1}, "unknown fields"),
        ({"dim": "x"}, "bad value"),
    ],
)
def test_malformed_spec(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"spec\.json: .*{message}"):
        load_onnx(changed_spec(tmp_path, **changes))


DEEP, LONG = b"[" * 100_000, b'{"dim": ' + b"9" * 5000 + b"}"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", DEEP, LONG])
def test_spec_that_is_no_json_object(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_bytes(content)
    with pytest.raises(InputError, match=r"spec\.json") as error:
        load_onnx(tmp_path / "spec.json")
    assert "\n" not in str(error.value)


def test_missing_spec(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(InputError, match="expected a backbone spec"):
            load_onnx(path)
