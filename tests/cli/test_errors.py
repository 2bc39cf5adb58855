"""Every bad input of the command line: one line on stderr, an exit code, no traceback."""

from __future__ import annotations

import csv
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import faceunc.extract
from faceunc.backbones.spec import BackboneSpec
from faceunc.cli import main
from faceunc.embeddings import Embeddings
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.heads.store import save_head

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *words: object, code: int = 2) -> str:
    """Run the command, check the form of its error, and return the line that begins with ``faceunc: error:``."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    lines = [line for line in err.splitlines() if line.startswith("faceunc: error:")]
    assert len(lines) == 1, err
    if code == 2:
        assert err.strip() == lines[0]
    return lines[0]


def failures(out: Path) -> list[dict[str, str]]:
    with (out / "failures.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def photo(path: Path, image: NDArray[np.uint8]) -> Path:
    Image.fromarray(image).save(path)
    return path


def huge_header(path: Path) -> Path:
    """A PNG whose header promises 20,000 x 20,000 pixels."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def test_empty_folder(tmp_path: Path, tiny_head: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    line = refused(capsys, "embed", tmp_path / "in", "-o", tmp_path / "out", "--head", tiny_head)
    assert "holds none" in line
    assert not (tmp_path / "out").exists()


def test_missing_path(tmp_path: Path, tiny_head: Path, capsys: Capture) -> None:
    line = refused(capsys, "embed", tmp_path / "none.jpg", "-o", tmp_path / "out", "--head", tiny_head)
    assert "no such file or folder" in line


def test_pattern_without_match(tmp_path: Path, tiny_head: Path, capsys: Capture) -> None:
    line = refused(capsys, "embed", tmp_path / "*.jpg", "-o", tmp_path / "out", "--head", tiny_head)
    assert "no file matches this pattern" in line


@pytest.mark.parametrize("kind", ["not_an_image", "truncated", "too_small", "too_large", "no_face"])
def test_bad_photo(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path], kind: str) -> None:
    bad = tmp_path / "bad.jpg"
    if kind == "not_an_image":
        bad.write_text("this is a text")
    elif kind == "truncated":
        bad.write_bytes(bush[0].read_bytes()[:4000])
    elif kind == "too_small":
        photo(bad, np.zeros((1, 1, 3), np.uint8))
    elif kind == "too_large":
        huge_header(bad)
    else:
        photo(bad, np.full((250, 250, 3), 127, np.uint8))
    refused(capsys, "embed", bad, "-o", tmp_path / "out", "--head", tiny_head, code=1)
    assert [(row["photo"], row["kind"]) for row in failures(tmp_path / "out")] == [(str(bad), kind)]
    assert refused(capsys, "compare", bad, bush[0], "--head", tiny_head).count(str(bad)) == 1


def test_two_faces_are_counted(tmp_path: Path, tiny_head: Path, bush: list[Path], lfw: Path) -> None:
    other = lfw / "Tony_Blair" / "Tony_Blair_0001.jpg"
    both = np.concatenate([np.asarray(Image.open(path).convert("RGB")) for path in (bush[0], other)], axis=1)
    path = photo(tmp_path / "both.png", both)
    assert main(["embed", str(path), "-o", str(tmp_path / "out"), "--head", str(tiny_head)]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["embedded"], report["several faces"]) == (1, 1)


@pytest.mark.parametrize("below", ["", "deeper/out"])
def test_output_is_a_file(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path], below: str) -> None:
    (tmp_path / "file").write_text("mine")
    line = refused(capsys, "embed", bush[0], "-o", tmp_path / "file" / below, "--head", tiny_head)
    assert str(tmp_path / "file") in line
    assert (tmp_path / "file").read_text() == "mine"


def test_full_disk(
    small_disk: Path,
    tiny_head: Path,
    capsys: Capture,
    bush: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    count_reads: list[str],
) -> None:
    """Three free pages: the first part fits, the second does not; with space again the run is completed."""
    monkeypatch.setattr(faceunc.extract, "_PART", 2)
    out = small_disk / "out"
    (small_disk / "filler").write_bytes(b"x" * 4096 * 13)
    words = ["embed", *bush[:6], "-o", out, "--head", tiny_head, "--precision", "float32"]
    assert "cannot write" in refused(capsys, *words)
    assert list(Embeddings.load(out / "parts" / "000001.safetensors").ids) == [str(p) for p in bush[:2]]
    (small_disk / "filler").unlink()
    count_reads.clear()
    assert main([str(word) for word in words]) == 0
    assert not set(count_reads) & {str(path) for path in bush[:2]}
    assert list(Embeddings.load(out / "embeddings.safetensors").ids) == [str(path) for path in bush[:6]]


@pytest.mark.parametrize("name", ["report.json", "photos.csv", "embeddings.json", "embeddings.safetensors", "parts"])
def test_stopped_while_finishing(
    tmp_path: Path, tiny_head: Path, bush: list[Path], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A second run that dies at any step of writing its result leaves a folder from which a third one completes."""
    words = ["-o", str(tmp_path / "out"), "--head", str(tiny_head), "--precision", "float32"]
    assert main(["embed", *map(str, bush[:2]), *words]) == 0
    write, rmtree = faceunc.storage.atomic_path, faceunc.extract.shutil.rmtree

    def dies(path: str | Path) -> object:
        if Path(path) == tmp_path / "out" / name:
            raise KeyboardInterrupt
        return write(path)

    def never(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if name == "parts":
            patch.setattr(faceunc.extract.shutil, "rmtree", never)
        else:
            patch.setattr(faceunc.storage, "atomic_path", dies)
            patch.setattr("faceunc.embeddings.atomic_path", dies)
        assert main(["embed", *map(str, bush[:5]), *words]) == 130
    assert faceunc.extract.shutil.rmtree is rmtree
    assert main(["embed", *map(str, bush[:5]), *words]) == 0
    assert list(Embeddings.load(tmp_path / "out" / "embeddings.safetensors").ids) == [str(p) for p in bush[:5]]
    assert not (tmp_path / "out" / "parts").exists()


def test_truncated_head(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path]) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(tiny_head.read_bytes()[:2000])
    assert "damaged or foreign head" in refused(capsys, "compare", bush[0], bush[1], "--head", broken)


def test_foreign_head(tmp_path: Path, capsys: Capture, bush: list[Path]) -> None:
    empty = np.empty((0, 4), np.float32)
    Embeddings(empty, empty, []).save(tmp_path / "foreign.safetensors")
    line = refused(capsys, "compare", bush[0], bush[1], "--head", tmp_path / "foreign.safetensors")
    assert "expected faceunc-head-1" in line


def test_head_of_another_backbone(tmp_path: Path, capsys: Capture, bush: list[Path]) -> None:
    points = ((4.0, 5.0), (11.0, 5.0), (8.0, 8.0), (5.0, 11.0), (10.0, 11.0))
    spec = BackboneSpec("other", 16, "RGB", (0.0, 0.0, 0.0), 1.0, points, 5, (6, 3, 2), sha256="abc")
    save_head(tmp_path / "other.safetensors", PFEHead(PFEConfig((6, 3, 2), 5, hidden=4)), spec, {})
    words = ["compare", bush[0], bush[1], "--head", tmp_path / "other.safetensors"]
    assert "was trained on backbone 'other'" in refused(capsys, *words, "--backbone", "dlib")
    assert "backbone must be one of" in refused(capsys, *words)


def test_unknown_head(capsys: Capture, bush: list[Path]) -> None:
    assert "head must be one of" in refused(capsys, "compare", bush[0], bush[1], "--head", "nonsense")


def test_missing_head(tmp_path: Path, capsys: Capture, bush: list[Path]) -> None:
    assert "no such file" in refused(capsys, "compare", bush[0], bush[1], "--head", tmp_path / "no.safetensors")


def test_unknown_backbone(tiny_head: Path, capsys: Capture, bush: list[Path]) -> None:
    words = ["compare", bush[0], bush[1], "--head", tiny_head, "--backbone", "nonsense"]
    assert "backbone must be one of" in refused(capsys, *words)


@pytest.mark.parametrize("text", [None, "not JSON", "[]", "{}", '{"name": "x"}'])
def test_bad_onnx_spec(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path], text: str | None) -> None:
    if text is not None:
        (tmp_path / "spec.json").write_text(text)
    words = ["compare", bush[0], bush[1], "--head", tiny_head, "--backbone", tmp_path / "spec.json"]
    assert "spec.json" in refused(capsys, *words)


@pytest.mark.parametrize("name", ["embeddings.safetensors", "embeddings.json"])
def test_damaged_earlier_output(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path], name: str) -> None:
    words = ["embed", *bush[:2], "-o", tmp_path / "out", "--head", tiny_head]
    assert main(list(map(str, words))) == 0
    damaged = tmp_path / "out" / name
    damaged.write_bytes(damaged.read_bytes()[:100])
    line = refused(capsys, *words)
    assert "damaged" in line
    assert str(damaged) in line
    assert damaged.stat().st_size == 100


def test_output_of_another_head(tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path]) -> None:
    from faceunc.heads.store import load_head

    assert main(["embed", str(bush[0]), "-o", str(tmp_path / "out"), "--head", str(tiny_head)]) == 0
    before = (tmp_path / "out" / "embeddings.safetensors").read_bytes()
    head = load_head(tiny_head)
    other = tmp_path / "second.safetensors"
    spec = faceunc.load(tiny_head).backbone.spec
    save_head(other, head.head, spec, {"seed": 9})
    line = refused(capsys, "embed", bush[1], "-o", tmp_path / "out", "--head", other)
    assert "tiny" in line
    assert "second" in line
    assert (tmp_path / "out" / "embeddings.safetensors").read_bytes() == before


def test_eval_without_pairs(tmp_path: Path, capsys: Capture) -> None:
    assert "pairs.txt: expected LFW's pair file, no such file" in refused(capsys, "eval", "lfw", tmp_path)


@pytest.mark.parametrize("kind", ["lfw", "cross-quality", "templates"])
def test_eval_on_a_missing_folder(tmp_path: Path, capsys: Capture, kind: str) -> None:
    assert "no such f" in refused(capsys, "eval", kind, tmp_path / "none")


def test_eval_refuses_a_head_that_knows_these_people(
    tmp_path: Path, tiny_head: Path, capsys: Capture, bush: list[Path]
) -> None:
    (tmp_path / "George_W_Bush").mkdir()
    for path in bush[:3]:
        (tmp_path / "George_W_Bush" / path.name).symlink_to(path)
    line = refused(capsys, "eval", "templates", tmp_path, "--head", tiny_head)
    assert "was trained on 1 of the people" in line


def test_train_on_a_missing_folder(tmp_path: Path, capsys: Capture) -> None:
    assert "no such folder" in refused(capsys, "train", "pfe", tmp_path / "no", "-o", tmp_path / "h.safetensors")


def test_exit_code_of_the_process(tmp_path: Path) -> None:
    code = "from faceunc.cli import main; raise SystemExit(main())"
    words = [sys.executable, "-c", code, "embed", str(tmp_path / "none"), "-o", str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("faceunc: error:")
    assert done.stderr.count("\n") == 1


def test_failed_training_keeps_the_card_that_stands_there(tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text("a card")
    assert main(["train", "pfe", str(tmp_path / "missing"), "-o", str(tmp_path / "head.safetensors")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["head.json"]
    assert (tmp_path / "head.json").read_text() == "a card"
