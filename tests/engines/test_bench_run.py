"""The bench: engines measured in one run, the choice among them, and what is said of those that are missing."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.engines.base import EngineOutput
from faceunc.engines.bench import BenchResult, EngineSpeed, run_bench
from faceunc.engines.bench_text import bench_text
from faceunc.engines.parity import Parity, face_chips, parity, photo_chips, with_degraded
from faceunc.errors import InputError
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head


def row(name: str, rate: float, one: float, distance: float = 0.0, precision: str = "float32") -> EngineSpeed:
    return EngineSpeed(name, precision, rate, one, rate / 100.0, 0.1, Parity(precision, distance, 0.0))


ROWS = [
    row("torch", 100.0, 9.0),
    row("torch-bf16", 300.0, 8.0, 2e-4, "bfloat16"),
    row("onnxruntime", 150.0, 3.0),
    row("openvino-bf16", 250.0, 5.0, 2e-5, "bfloat16"),
]
RESULT = BenchResult("dlib", "h", 32, 5, 4, ROWS, {"openvino": "needs openvino: pip install 'faceunc[openvino]'"})


def test_one_run(dlib: TorchBackbone, faces: NDArray[np.uint8]) -> None:
    head = load_head(head_path("dlib-pfe"))
    result = run_bench(head, dlib, faces[:4], batch=6, seconds=0.01, names=["torch-fused"], show=False)
    assert [speed.name for speed in result.engines] == ["torch", "torch-fused"]
    torch_row, fused = result.engines
    assert (torch_row.ratio, torch_row.parity.cosine_distance, torch_row.parity.log_var) == (1.0, 0.0, 0.0)
    assert fused.parity.passes
    assert fused.parity.cosine_distance > 0.0
    assert fused.ratio == pytest.approx(fused.chips_per_second / torch_row.chips_per_second)
    assert 1.0 < fused.chips_per_second < 1e5
    assert 0.0 < fused.one_chip_ms < 6000.0 / fused.chips_per_second * 6
    assert (result.batch, result.rounds, result.chips) == (6, 5, 4)
    assert json.loads(json.dumps(result.to_dict()))["engines"]["torch-fused"]["passes"] is True


def test_an_engine_that_does_not_run_this_model(
    tiny: TorchBackbone, untrained: Callable[[BackboneSpec, PFEConfig], StoredHead]
) -> None:
    head = untrained(tiny.spec, PFEConfig(tiny.spec.feature_shape, tiny.spec.dim))
    chips = face_chips(tiny.spec)
    result = run_bench(head, tiny, chips, batch=2, seconds=0.01, names=["torch-fused", "torch"], show=False)
    assert [speed.name for speed in result.engines] == ["torch"]
    assert "only dlib's network" in result.missing["torch-fused"]
    assert "only dlib's network" in bench_text(result)


def test_wrong_use(dlib: TorchBackbone) -> None:
    head = load_head(head_path("dlib-pfe"))
    with pytest.raises(InputError, match="expected chips"):
        run_bench(head, dlib, np.empty((0, 150, 150, 3), np.uint8))
    with pytest.raises(InputError, match="engine must be one of"):
        run_bench(head, dlib, face_chips(dlib.spec), names=["abacus"])


def test_the_choice() -> None:
    assert RESULT.fastest().name == "openvino-bf16"
    assert RESULT.fastest("float32").name == "onnxruntime"
    assert RESULT.to_dict()["fastest"] == "openvino-bf16"
    text = bench_text(RESULT)
    lines = text.splitlines()
    assert any(line.startswith("torch-bf16 ") and line.endswith("NO") for line in lines)
    assert (
        "fastest that agrees:   openvino-bf16 (250 chips/s, 5.0 ms for one). Use it with: --engine openvino-bf16"
        in text
    )
    assert "fastest in float32:    onnxruntime" in text
    assert "pip install 'faceunc[openvino]'" in text
    assert "torch-compile " in text
    assert max(map(len, lines)) <= 120


def test_only_torch() -> None:
    text = bench_text(BenchResult("dlib", "h", 1, 5, 4, ROWS[:1], {}))
    assert "Use it with: --precision float32" in text
    assert "--engine" not in text


def test_what_is_not_installed(dlib: TorchBackbone, faces: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.util.find_spec
    gone = ("openvino", "onnxruntime")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *more: None if n in gone else original(n, *more))
    head = load_head(head_path("dlib-pfe"))
    names = ["onnxruntime", "openvino"]
    result = run_bench(head, dlib, faces[:1], batch=1, seconds=0.01, names=names, show=False)
    assert result.missing == {
        "onnxruntime": "needs onnxruntime: pip install 'faceunc[onnx]'",
        "openvino": "needs openvino: pip install 'faceunc[openvino]'",
    }


@pytest.mark.parametrize("angle", [0.0, 1e-5, 1e-3, 0.1, math.pi / 2])
def test_cosine_distance_is_exact(angle: float) -> None:
    """Against the closed form 1 - cos(angle), also where float32 cosines are 1."""
    one = np.array([[1.0, 0.0]], np.float32)
    other = np.array([[math.cos(angle), math.sin(angle)]], np.float32)
    log_var = np.array([[-7.0]], np.float32)
    first, second = (EngineOutput(mean, log_var, np.ones(1, np.float32)) for mean in (one, other))
    found = parity(first, second, "float32")
    assert found.cosine_distance == pytest.approx(2.0 * math.sin(angle / 2.0) ** 2, rel=1e-5, abs=1e-14)
    assert found.passes == (angle < 0.014)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_does_not_pass(precision: str) -> None:
    assert Parity(precision, 1e-4, 1e-3).passes
    assert not Parity(precision, 1.1e-4, 0.0).passes
    assert not Parity(precision, 0.0, 0.06).passes
    assert not Parity(precision, float("nan"), 0.0).passes
    assert not Parity(precision, 0.0, float("nan")).passes


def test_photographs(dlib: TorchBackbone, bush: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    chips = photo_chips(dlib.spec, [tmp_path / "text.jpg", *bush[:2]])
    assert chips.shape == (2, 150, 150, 3)
    assert with_degraded(chips).shape == (8, 150, 150, 3)
    np.testing.assert_array_equal(with_degraded(chips)[4], chips[1])
    with pytest.raises(InputError, match=r"none of 1 photographs has a face .*text\.jpg"):
        photo_chips(dlib.spec, [tmp_path / "text.jpg"])
