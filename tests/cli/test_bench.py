"""``faceunc bench`` and ``faceunc export`` from the command line."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from faceunc.cli import main
from faceunc.embeddings import VARIANCE_KEYS
from faceunc.engines.registry import open_engine
from faceunc.loading import load


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if these packages were not installed."""
    original = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *more: None if n in packages else original(n, *more))
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)


FAST = ["--seconds", "0.01", "--batch", "2", "--threads", "2"]


def test_bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "bench.json"
    assert main(["bench", "--engine", "torch-fused", "--json", str(out), *FAST]) == 0
    printed = capsys.readouterr().out
    assert "dlib with head dlib-pfe" in printed
    assert "Use it with: --" in printed
    values = json.loads(out.read_text())
    assert set(values["engines"]) == {"torch", "torch-fused"}
    assert values["fastest"] in values["engines"]
    assert values["engines"]["torch-fused"]["parity"]["cosine_distance"] < 1e-6
    assert values["chips"] == 4
    assert values["provenance"]["machine"]["cores"] >= 1


def test_bench_on_photographs_with_another_head(
    bush: list[Path], tiny_head: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [str(path) for path in bush[:2]]
    assert main(["bench", *photos, "--head", str(tiny_head), "--engine", "torch", *FAST]) == 0
    printed = capsys.readouterr().out
    assert "head tiny" in printed
    assert "(not in this table) is what faceunc embed uses" in printed
    assert "compared on 8 chips" in printed


def test_bench_says_which_photographs_it_left_out(
    bush: list[Path], tiny_head: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    (tmp_path / "broken2.jpg").write_bytes(b"no image")
    photos = [str(tmp_path / "broken.jpg"), str(bush[0]), str(tmp_path / "broken2.jpg")]
    assert main(["bench", *photos, "--head", str(tiny_head), "--engine", "torch", *FAST]) == 0
    said = capsys.readouterr()
    assert "compared on 4 chips" in said.out
    assert f"2 of 3 photographs left out, first: {tmp_path / 'broken.jpg'}" in said.err


@pytest.mark.parametrize("package", ["openvino", "onnxruntime"])
def test_bench_with_an_engine_that_is_not_installed(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(monkeypatch, package)
    assert main(["bench", "--engine", "torch", "--engine", package, *FAST]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith(f"faceunc: error: engine {package} needs {package}: pip install 'faceunc[")
    assert "\n" not in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "abacus"], "engine must be one of"),
        (["--head", "none"], "head must be one of"),
        (["--backbone", "dlib@13"], "trained on backbone 'dlib'"),
        (["/nowhere"], "no such file or folder"),
        (["--json", "/proc/x/bench.json"], "cannot write"),
    ],
)
def test_bench_errors(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words, *FAST]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert "\n" not in error


def test_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    out = tmp_path / "model.onnx"
    assert main(["export", "--head", "dlib-pfe-scalar", "-o", str(out)]) == 0
    assert "cosine distance to torch" in capsys.readouterr().out
    engine, embedder = open_engine(out), load("dlib-pfe-scalar", precision="float32", aligned=True)
    chips = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)
    expected = embedder.embed_chips(chips, list("abc"))
    np.testing.assert_allclose(engine.embed(chips).log_var, expected.log_var, atol=1e-4)
    meta = engine.papers.meta(engine.precision, engine.name)
    assert {key: meta[key] for key in VARIANCE_KEYS} == {key: expected.meta[key] for key in VARIANCE_KEYS}


def test_export_with_openvino_alone(
    tiny_head: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnx", "onnxscript", "openvino"):
        pytest.importorskip(package)
    hide(monkeypatch, "onnxruntime")
    out = tmp_path / "model.onnx"
    assert main(["export", "--head", str(tiny_head), "-o", str(out)]) == 0
    assert "by openvino: cosine distance to torch" in capsys.readouterr().out
    assert out.is_file()


def test_export_without_a_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(monkeypatch, "onnxruntime", "openvino")
    assert main(["export", "-o", str(tmp_path / "model.onnx")]) == 2
    error = capsys.readouterr().err.strip()
    assert "needs onnxruntime: pip install 'faceunc[onnx]' (or 'faceunc[openvino]')" in error
    assert "\n" not in error
    assert list(tmp_path.iterdir()) == []


def test_export_says_what_is_not_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for words in ("finding faces and aligning them are not", "serfiq", "MC dropout"):
        assert words in said


def test_export_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model.onnx"
    assert main(["export", "--backbone", "dlib@13", "-o", str(out)]) == 2
    assert "trained on backbone 'dlib'" in capsys.readouterr().err
    assert not out.exists()


def test_export_does_not_overwrite_a_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tmp_path / "mine.jpg"
    photo.write_bytes(b"a photograph")
    assert main(["export", "-o", str(photo)]) == 2
    assert "expected the name of a file *.onnx" in capsys.readouterr().err
    assert photo.read_bytes() == b"a photograph"
