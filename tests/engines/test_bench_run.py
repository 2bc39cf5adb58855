"""The bench: engines measured in one run, the choice among them, and what is said of those that are missing."""

from __future__ import annotations

import importlib.util
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput, TorchBackbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.engines.base import EngineOutput
from faceunc.engines.bench import BenchResult, EngineSpeed, run_bench
from faceunc.engines.bench_text import bench_text
from faceunc.engines.parity import Parity, face_chips, parity, photo_chips, with_degraded
from faceunc.engines.registry import default_engine
from faceunc.engines.timing import measure_rounds
from faceunc.engines.torch_engine import TorchEngine
from faceunc.errors import InputError
from faceunc.heads.pfe import PFEConfig
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head


def row(name: str, rate: float, one: float, distance: float = 0.0, precision: str = "float32") -> EngineSpeed:
    spread = (0.9 * rate, 1.1 * rate)
    return EngineSpeed(name, precision, rate, spread, one, rate / 100.0, 0.1, Parity(precision, distance, 0.0))


ROWS = [
    row("torch", 100.0, 9.0),
    row("torch-bf16", 300.0, 8.0, 2e-4, "bfloat16"),
    row("onnxruntime", 150.0, 3.0),
    row("openvino-bf16", 250.0, 5.0, 2e-5, "bfloat16"),
]
NEEDS = "needs openvino: pip install 'faceunc[openvino]'"
RESULT = BenchResult("dlib", "h", 32, 2, 5, 4, "torch-bf16", ROWS, {"openvino": NEEDS})


def test_one_run(dlib: TorchBackbone, faces: NDArray[np.uint8]) -> None:
    head = load_head(head_path("dlib-pfe"))
    result = run_bench(head, dlib, faces[:4], batch=3, seconds=0.01, names=["torch-fused"], show=False)
    assert [speed.name for speed in result.engines] == ["torch", "torch-fused"]
    torch_row, fused = result.engines
    assert (torch_row.ratio, torch_row.parity.cosine_distance, torch_row.parity.log_var) == (1.0, 0.0, 0.0)
    assert fused.parity.passes
    assert fused.parity.cosine_distance > 0.0
    assert fused.ratio == pytest.approx(fused.chips_per_second / torch_row.chips_per_second)
    assert 1.0 < fused.chips_per_second < 1e5
    assert 0.0 < fused.one_chip_ms < 6000.0 / fused.chips_per_second * 6
    for speed in result.engines:
        low, high = speed.quartiles
        assert 0.0 < low <= speed.chips_per_second <= high
    assert (result.batch, result.rounds, result.chips, result.threads) == (3, 5, 4, 2)
    assert result.default == default_engine(dlib)
    assert json.loads(json.dumps(result.to_dict()))["engines"]["torch-fused"]["passes"] is True


def test_an_engine_that_does_not_run_this_model(
    tiny_pair: TorchBackbone, untrained: Callable[[BackboneSpec, PFEConfig], StoredHead]
) -> None:
    head = untrained(tiny_pair.spec, PFEConfig(tiny_pair.spec.feature_shape, tiny_pair.spec.dim))
    chips = face_chips(tiny_pair.spec)
    result = run_bench(head, tiny_pair, chips, batch=2, seconds=0.01, names=["torch-fused", "torch"], show=False)
    assert [speed.name for speed in result.engines] == ["torch"]
    assert "only dlib's network" in result.missing["torch-fused"]
    assert "only dlib's network" in bench_text(result)
    with pytest.raises(InputError, match="only dlib's network"):
        run_bench(head, tiny_pair, chips, batch=2, seconds=0.01, names=[], show=False, required=["torch-fused"])


def test_batches_run_as_an_embedder_runs_them(
    tiny_pair: TorchBackbone, untrained: Callable[[BackboneSpec, PFEConfig], StoredHead]
) -> None:
    """Side by side in threads of one torch thread; one after another where the engine has threads of its own."""
    head = untrained(tiny_pair.spec, PFEConfig(tiny_pair.spec.feature_shape, tiny_pair.spec.dim))
    chips = np.concatenate([face_chips(tiny_pair.spec)] * 3)
    for own_threads, expected in ((False, 2), (True, 1)):
        engine = Watched("torch", tiny_pair, head, own_threads=own_threads)
        times = measure_rounds({"torch": engine}, head, chips, 0.01, show=False)["torch"]
        assert len(times.many) == len(times.one) >= 5
        assert max(engine.together[3]) == expected
        assert {threads for count, threads in engine.seen if count == 3} == {1}
        assert {threads for count, threads in engine.seen if count == 1} == {2}


class Watched(TorchEngine):
    """Notes (chips, torch threads) of every call, and by number of chips how many calls were running."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.seen: list[tuple[int, int]] = []
        self.together: dict[int, list[int]] = {1: [], 3: []}
        self._running = 0

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        self._running += 1
        self.seen.append((len(chips), torch.get_num_threads()))
        time.sleep(0.005)
        self.together[len(chips)].append(self._running)
        try:
            return super().__call__(chips)
        finally:
            self._running -= 1


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
    assert any(line.startswith("torch-bf16 * ") and line.endswith("NO") and "270-330" in line for line in lines)
    assert sum(" * " in line for line in lines) == 1
    assert "*       what faceunc embed uses when no engine and no precision is named" in lines
    assert "reading photographs and detection\n         are not counted" in text
    assert "continued in its own precision only" in text
    assert (
        "fastest that agrees:   openvino-bf16 (250 chips/s, 5.0 ms for one). Use it with: --engine openvino-bf16"
        in text
    )
    assert "fastest in float32:    onnxruntime" in text
    assert "pip install 'faceunc[openvino]'" in text
    assert "torch-compile " in text
    assert max(map(len, lines)) <= 120


def test_only_torch() -> None:
    text = bench_text(BenchResult("dlib", "h", 1, 2, 5, 4, "torch", ROWS[:1], {}))
    assert "torch (100 chips/s, 9.0 ms for one). Used by default" in text
    assert "--engine" not in text
    text = bench_text(BenchResult("dlib", "h", 1, 2, 5, 4, "torch-fused", ROWS[:1], {}))
    assert "Use it with: --engine torch" in text
    assert "torch-fused (not in this table) is what faceunc embed uses" in text
    assert not any(" * " in line for line in text.splitlines())


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
    with pytest.raises(InputError, match=r"^engine openvino needs openvino: pip install 'faceunc\[openvino\]'$"):
        run_bench(head, dlib, faces[:1], batch=1, seconds=0.01, names=[], show=False, required=["openvino"])


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
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), np.full((120, 120, 3), 128, np.uint8))
    chips, failures = photo_chips(dlib.spec, [tmp_path / "text.jpg", bush[0], grey, bush[1]])
    assert [failure.split(":")[0] for failure in failures] == [str(tmp_path / "text.jpg"), str(grey)]
    assert failures[1].endswith("no face found")
    assert chips.shape == (2, 150, 150, 3)
    assert with_degraded(chips).shape == (8, 150, 150, 3)
    np.testing.assert_array_equal(with_degraded(chips)[4], chips[1])
    with pytest.raises(InputError, match=r"none of 1 photographs has a face .*first: .*text\.jpg"):
        photo_chips(dlib.spec, [tmp_path / "text.jpg"])
