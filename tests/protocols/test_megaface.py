"""MegaFace's features and lists, and the two conventions."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from faceunc.errors import InputError, OutputError
from faceunc.protocols.megaface import read_feature, read_features, read_list, read_megaface, write_feature

PROBES = {"path": ["Ann/Ann_1.png", "Ann/Ann_2.png", "Bob/Bob_1.png"], "id": ["Ann", "Ann", "Bob"]}
DISTRACTORS = {"path": ["1/a.jpg", "1/b.jpg", "2/a.jpg"]}


def write_json(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path]:
    return write_json(tmp_path / "probes.json", PROBES), write_json(tmp_path / "distractors.json", DISTRACTORS)


def test_features(tmp_path: Path) -> None:
    feature = np.random.default_rng(0).normal(size=7).astype(np.float32)
    path = tmp_path / "Ann" / "Ann_1.png_x.bin"
    write_feature(path, feature)
    assert path.read_bytes() == struct.pack("<4i7f", 7, 1, 4, 5, *feature)
    found = read_feature(path)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, feature)
    write_feature(tmp_path / "Bob_x.bin", feature[::-1].astype(np.float64))
    found = read_features(tmp_path, ["Ann/Ann_1.png", "Bob"], "_x.bin")
    np.testing.assert_array_equal(found, [feature, feature[::-1]])
    write_feature(tmp_path / "Cy_x.bin", feature[:6])
    with pytest.raises(InputError, match=r"Cy_x\.bin: expected 7 numbers as before. Got 6"):
        read_features(tmp_path, ["Bob", "Cy"], "_x.bin")
    with pytest.raises(InputError, match="at least one"):
        read_features(tmp_path, [], "_x.bin")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "Got 0 bytes"),
        (struct.pack("<3i", 1, 1, 4), "Got 12 bytes"),
        (struct.pack("<4i2f", 2, 1, 4, 6, 1, 2), r"Got \[2, 1, 4, 6\]"),
        (struct.pack(">4i2f", 2, 1, 4, 5, 1, 2), "begins with n, 1, 4, 5"),
        (struct.pack("<4i", 0, 1, 4, 5), "begins with"),
        (struct.pack("<4i", -1, 1, 4, 5), "begins with"),
        (struct.pack("<4i2f", 3, 1, 4, 5, 1, 2), "expected 28 bytes for 3 numbers. Got 24"),
        (struct.pack("<4i2f", 2, 1, 4, 5, 1, 2) + b"x", "Got 25"),
        (struct.pack("<4i2f", 2**31 - 1, 1, 4, 5, 1, 2), "Got 24"),
        (struct.pack("<4i2f", 2, 1, 4, 5, 1, float("nan")), "finite"),
    ],
)
def test_damaged_features(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "feature.bin"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_feature(path)
    assert str(path) in str(caught.value)


def test_features_that_cannot_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_feature(tmp_path / "none.bin")
    with pytest.raises(InputError, match="MegaFace feature"):
        read_feature(tmp_path)
    with pytest.raises(OutputError):
        write_feature(tmp_path, np.ones(3, np.float32))
    for shape in ((2, 2), (0,), ()):
        with pytest.raises(ValueError, match=r"\(n,\)"):
            write_feature(tmp_path / "x.bin", np.ones(shape, np.float32))


def test_raw(lists: tuple[Path, Path]) -> None:
    protocol = read_megaface(*lists, "raw")
    assert protocol.probe_paths == tuple(PROBES["path"])
    assert protocol.probe_ids == ("Ann", "Ann", "Bob")
    assert protocol.distractor_paths == tuple(DISTRACTORS["path"])
    assert (protocol.convention, protocol.noisy_probes, protocol.noisy_distractors) == ("raw", 0, 0)


def test_cleaned_leaves_noisy_images_out(tmp_path: Path, lists: tuple[Path, Path]) -> None:
    probe_noise, distractor_noise = tmp_path / "p.txt", tmp_path / "d.txt"
    probe_noise.write_text("# a comment\n\nAnn_2.png\nZoe_9.png\n")  # bare names, as FaceScrub's list has them
    distractor_noise.write_text("1/a.jpg\n")
    protocol = read_megaface(*lists, "cleaned", probe_noise, distractor_noise)
    assert protocol.probe_paths == ("Ann/Ann_1.png", "Bob/Bob_1.png")
    assert protocol.probe_ids == ("Ann", "Bob")
    assert protocol.distractor_paths == ("1/b.jpg", "2/a.jpg")
    assert (protocol.convention, protocol.noisy_probes, protocol.noisy_distractors) == ("cleaned", 1, 1)
    assert protocol.unmatched_noise == 1


@pytest.mark.parametrize(
    ("text", "kept", "unmatched"),
    [
        ("1\t1/a.jpg\n2\t2/a.jpg\n", ("1/b.jpg",), 0),  # insightface's: the name is the second field
        ("1\t1/a.jpg\tblurred\n", ("1/b.jpg", "2/a.jpg"), 0),
        ("b.jpg\r\n  # 9/9.jpg\n9/b.jpg\n", ("1/a.jpg", "2/a.jpg"), 1),  # another folder's b.jpg is no match
        ("1/a.jpg\n1/a.jpg\n", ("1/b.jpg", "2/a.jpg"), 0),
    ],
)
def test_lines_of_noise_lists(
    tmp_path: Path, lists: tuple[Path, Path], text: str, kept: tuple[str, ...], unmatched: int
) -> None:
    (tmp_path / "p.txt").write_text("Ann_2.png\n")
    (tmp_path / "d.txt").write_text(text)
    protocol = read_megaface(*lists, "cleaned", tmp_path / "p.txt", tmp_path / "d.txt")
    assert (protocol.distractor_paths, protocol.unmatched_noise) == (kept, unmatched)
    assert protocol.noisy_distractors == 3 - len(kept)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1/b.jpg\na.jpg\n", r"d\.txt, line 2: 'a\.jpg' names 2 images"),
        ("1/b.jpg\n# x\n3/c.jpg\n3/d.jpg\n", r"d\.txt, line 3: .* 2 of its 3 lines name none of the 3"),
        ("# nothing\n", r"d\.txt: .* it names none"),
    ],
)
def test_noise_lists_that_do_not_fit(tmp_path: Path, lists: tuple[Path, Path], text: str, message: str) -> None:
    (tmp_path / "p.txt").write_text("Ann_2.png\n")
    (tmp_path / "d.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_megaface(*lists, "cleaned", tmp_path / "p.txt", tmp_path / "d.txt")


def test_convention_and_noise_lists_must_agree(tmp_path: Path, lists: tuple[Path, Path]) -> None:
    noise = tmp_path / "noise.txt"
    noise.write_text("Ann_2.png\n")
    with pytest.raises(InputError, match="raw convention takes no noise list"):
        read_megaface(*lists, "raw", noise)
    with pytest.raises(InputError, match="raw convention takes no noise list"):
        read_megaface(*lists, "raw", None, noise)
    with pytest.raises(InputError, match="needs two noise lists"):
        read_megaface(*lists, "cleaned", noise)
    with pytest.raises(InputError, match=r"noise\.txt, line 1: .* 1 of its 1 lines name none of the 3"):
        read_megaface(*lists, "cleaned", noise, noise)
    with pytest.raises(InputError, match="raw or cleaned"):
        read_megaface(*lists, "refined")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such file"):
        read_megaface(*lists, "cleaned", noise, tmp_path / "none.txt")
    with pytest.raises(TypeError):
        read_megaface(*lists)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="probes need their people"):
        read_megaface(lists[1], lists[1], "raw")


def test_numbers_as_ids(tmp_path: Path) -> None:
    path = write_json(tmp_path / "list.json", {"path": ["a", "b"], "id": [3, "4"], "note": None})
    assert read_list(path) == (("a", "b"), ("3", "4"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"path": ["a"],\n"id": [1}', "line 2: expected JSON"),
        ("", "line 1: expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ('["a"]', "an array 'path'"),
        ('{"path": []}', "an array 'path'"),
        ('{"path": "ab"}', "an array 'path'"),
        ('{"path": ["a", 3]}', "an array 'path'"),
        ('{"path": ["a", "b"], "id": [1]}', "array of 2 names"),
        ('{"path": ["a", "b"], "id": [1, null]}', "array of 2 names"),
        ('{"path": ["a", "b"], "id": {"a": 1, "b": 2}}', "array of 2 names"),
        ("\x00", "expected JSON"),
    ],
)
def test_damaged_lists(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_list(path)
    assert str(path) in str(caught.value)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_list(path)
