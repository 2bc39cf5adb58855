"""``faceunc embed`` on real photographs: what it writes, and what it does not do twice."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import faceunc.extract
from faceunc.cli import main
from faceunc.embeddings import Embeddings

DRIVER = "import faceunc.extract as e; e._PART = 32; from faceunc.cli import main; raise SystemExit(main())"


def embed(photos: list[Path], out: Path, head: Path, *more: str) -> int:
    options = ["--head", str(head), "--precision", "float32", "--threads", "2", *more]
    return main(["embed", *map(str, photos), "-o", str(out), *options])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_bad_photo_among_many(
    tmp_path: Path, tiny_head: Path, bush: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("a text")
    out = tmp_path / "out"
    assert embed([*bush[:3], bad, *bush[3:6]], out, tiny_head) == 0
    captured = capsys.readouterr()
    assert "6 embedded, 1 failed" in captured.out
    assert "not_an_image" in captured.err
    found = Embeddings.load(out / "embeddings.safetensors")
    assert list(found.ids) == [str(path) for path in bush[:6]]
    np.testing.assert_allclose(np.linalg.norm(found.mean, axis=1), 1, atol=1e-5)
    assert [(row["photo"], row["kind"]) for row in rows(out / "failures.csv")] == [(str(bad), "not_an_image")]
    table = rows(out / "photos.csv")
    assert [row["photo"] for row in table] == list(found.ids)
    np.testing.assert_allclose([float(row["sigma"]) for row in table], found.sigma, atol=1e-5)
    assert all(40 < float(row["face_size"]) < 250 and float(row["score"]) > 0.5 for row in table)
    report = json.loads((out / "report.json").read_text())
    assert (report["photographs"], report["embedded"], report["failed"]) == (7, 6, {"not_an_image": 1})
    assert not (out / "parts").exists()


def test_nothing_is_embedded_twice(tmp_path: Path, tiny_head: Path, bush: list[Path], count_reads: list[str]) -> None:
    assert embed(bush[:4], tmp_path / "out", tiny_head) == 0
    first = Embeddings.load(tmp_path / "out" / "embeddings.safetensors")
    assert len(count_reads) == 4
    assert embed(bush[:4], tmp_path / "out", tiny_head) == 0
    assert len(count_reads) == 4
    again = Embeddings.load(tmp_path / "out" / "embeddings.safetensors")
    assert list(again.ids) == list(first.ids)
    np.testing.assert_array_equal(again.mean, first.mean)
    np.testing.assert_array_equal(again.log_var, first.log_var)
    assert embed(bush[:6], tmp_path / "out", tiny_head) == 0
    assert count_reads[4:] == [str(path) for path in bush[4:6]]
    assert list(Embeddings.load(tmp_path / "out" / "embeddings.safetensors").ids) == [str(p) for p in bush[:6]]
    assert len(rows(tmp_path / "out" / "photos.csv")) == 6


def test_rows_without_measures_are_named(
    tmp_path: Path, tiny_head: Path, bush: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert embed(bush[:2], tmp_path / "out", tiny_head, "--no-measures") == 0
    assert "without measured flaws" not in capsys.readouterr().out
    assert embed(bush[:3], tmp_path / "out", tiny_head) == 0
    assert "2 rows of an earlier run are without measured flaws" in capsys.readouterr().out


def test_retry_failed(tmp_path: Path, tiny_head: Path, bush: list[Path], count_reads: list[str]) -> None:
    mended, out = tmp_path / "mended.jpg", tmp_path / "out"
    mended.write_bytes(bush[0].read_bytes()[:4000])
    photos = [bush[1], mended]
    assert embed(photos, out, tiny_head) == 0
    mended.write_bytes(bush[0].read_bytes())
    count_reads.clear()
    assert embed(photos, out, tiny_head) == 0
    assert not count_reads
    assert [row["kind"] for row in rows(out / "failures.csv")] == ["truncated"]
    assert embed(photos, out, tiny_head, "--retry-failed") == 0
    assert count_reads == [str(mended)]
    assert rows(out / "failures.csv") == []
    assert list(Embeddings.load(out / "embeddings.safetensors").ids) == [str(bush[1]), str(mended)]


def test_aligned_chips(tmp_path: Path, tiny_head: Path, bush: list[Path]) -> None:
    assert embed(bush[:2], tmp_path / "out", tiny_head, "--aligned") == 0
    assert [row["face_size"] for row in rows(tmp_path / "out" / "photos.csv")] == ["", ""]


def test_killed_run_goes_on(
    tmp_path: Path,
    tiny_head: Path,
    lfw: Path,
    monkeypatch: pytest.MonkeyPatch,
    count_reads: list[str],
) -> None:
    """SIGKILL after the first part; the second run does the rest, and gives what an uninterrupted run gives."""
    people = sorted(path for path in lfw.iterdir() if path.is_dir())
    photos = [path for person in people[:230] for path in sorted(person.glob("*.jpg"))][:300]
    assert len(photos) == 300
    monkeypatch.setattr(faceunc.extract, "_PART", 32)
    options = ["--head", str(tiny_head), "--precision", "float32", "--threads", "2", "--min-face-size", "80"]
    words = ["embed", *map(str, photos), *options, "-o"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", DRIVER, *words, str(killed)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (killed / "parts" / "000001.safetensors").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "embeddings.safetensors").exists()
    finished: set[str] = set()
    for part in (killed / "parts").glob("*.safetensors"):
        finished |= set(Embeddings.load(part).ids)
    assert 0 < len(finished) < 300
    count_reads.clear()
    assert main([*words, str(killed)]) == 0
    assert not finished & set(count_reads)
    assert main([*words, str(whole)]) == 0
    a, b = (Embeddings.load(out / "embeddings.safetensors") for out in (killed, whole))
    assert list(a.ids) == list(b.ids)
    np.testing.assert_allclose(a.mean, b.mean, atol=1e-6)
    np.testing.assert_allclose(a.log_var, b.log_var, atol=1e-5)
    for name in ("photos.csv", "failures.csv"):
        assert len(rows(killed / name)) == len(rows(whole / name))


def test_detector_by_name(tmp_path: Path, tiny_head: Path, bush: list[Path]) -> None:
    assert embed(bush[:2], tmp_path / "out", tiny_head, "--detector", "mtcnn-fast") == 0
    meta = Embeddings.load(tmp_path / "out" / "embeddings.safetensors").meta
    assert meta["detector"] == "mtcnn-fast-largest-40-1280"
    with pytest.raises(SystemExit):
        embed(bush[:2], tmp_path / "out", tiny_head, "--detector", "other")
