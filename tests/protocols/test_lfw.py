"""LFW's pair files: the real ones, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.protocols.lfw import image_id, read_pairs

GENUINE, IMPOSTOR = "Ann\t1\t2", "Ann\t1\tBob\t3"
GOOD = ["2\t2", GENUINE, GENUINE, IMPOSTOR, IMPOSTOR, GENUINE, GENUINE, IMPOSTOR, IMPOSTOR]


def write(folder: Path, lines: list[str]) -> Path:
    path = folder / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("name", "pairs", "folds"), [("pairs.txt", 6000, 10), ("pairsDevTrain.txt", 2200, 1), ("pairsDevTest.txt", 1000, 1)]
)
def test_official_files(lfw: Path, name: str, pairs: int, folds: int) -> None:
    protocol = read_pairs(lfw / name)
    assert (len(protocol), protocol.num_folds) == (pairs, folds)
    assert protocol.same.sum() == pairs // 2
    assert np.bincount(protocol.fold).tolist() == [pairs // folds] * folds
    people = [(a.split("/")[0], b.split("/")[0]) for a, b in zip(protocol.first, protocol.second, strict=True)]
    assert [a == b for a, b in people] == protocol.same.tolist()
    assert all((lfw / image).is_file() for image in protocol.images)


def test_official_folds_share_nobody(lfw: Path) -> None:
    protocol = read_pairs(lfw / "pairs.txt")
    people = [protocol.identities_of_folds({fold}) for fold in range(10)]
    assert sum(map(len, people)) == len(set.union(*people))
    assert protocol.identities_of_folds(set(range(10))) == {image.split("/")[0] for image in protocol.images}


def test_rows_of_a_small_file(tmp_path: Path) -> None:
    protocol = read_pairs(write(tmp_path, GOOD))
    assert (protocol.first[0], protocol.second[0]) == ("Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg")
    assert protocol.second[2] == "Bob/Bob_0003.jpg"
    assert protocol.same.tolist() == [True, True, False, False] * 2
    assert protocol.fold.tolist() == [0] * 4 + [1] * 4
    assert protocol.images == ["Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", "Bob/Bob_0003.jpg"]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ([], 1),
        (["ten\t300", *GOOD[1:]], 1),
        (["0\t2", *GOOD[1:]], 1),
        (["-2\t2", *GOOD[1:]], 1),
        (["²\t2", *GOOD[1:]], 1),
        (["2\t" + "9" * 5000, *GOOD[1:]], 1),
        (["1\t2\t3", *GOOD[1:]], 1),
        (GOOD[1:], 1),
        ([*GOOD[:1], *GOOD[2:]], 3),  # a genuine line is missing: an impostor stands where it should end
        (GOOD[:-1], 8),  # the last line is missing
        ([*GOOD, GENUINE], 10),  # one too many
        ([GOOD[0], *GOOD[3:5], *GOOD[1:3], *GOOD[5:]], 2),  # blocks swapped
        ([*GOOD[:4], "Ann\tone\tBob\t2", *GOOD[5:]], 5),
        ([*GOOD[:4], "Ann\t0\tBob\t2", *GOOD[5:]], 5),
        ([*GOOD[:4], "Ann", *GOOD[5:]], 5),
        ([*GOOD[:4], "", "Ann", *GOOD[5:]], 6),  # blank lines count
        (["", *GOOD[:1], "", *GOOD[2:]], 5),
        ([*GOOD[:4], "Ann\t1_0\tBob\t2", *GOOD[5:]], 5),
        ([*GOOD[:4], "Ann\t\u0661\tBob\t2", *GOOD[5:]], 5),
        ([*GOOD[:4], "Ann\t+1\tBob\t2", *GOOD[5:]], 5),
        ([*GOOD[:4], "Ann\t1\tBob\t" + "9" * 5000, *GOOD[5:]], 5),
        (["2\t\u0662", *GOOD[1:]], 1),
    ],
)
def test_malformed_files_name_the_line(tmp_path: Path, lines: list[str], line: int) -> None:
    path = write(tmp_path, lines)
    with pytest.raises(InputError, match=f"line {line}:") as caught:
        read_pairs(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "text", "message"),
    [
        (3, "Ann\t1\tAnn\t2", "line 4: expected two people. Got 'Ann 1 Ann 2'"),
        (2, "Ann\t1\t1", "line 3: expected two photographs. Got 'Ann 1 1'"),
        (2, "Ann\t1\t01", "line 3: expected two photographs"),
    ],
)
def test_pairs_that_are_not_what_they_say(tmp_path: Path, row: int, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pairs(write(tmp_path, [*GOOD[:row], text, *GOOD[row + 1 :]]))


def test_a_promise_of_many_pairs_allocates_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="promises"):
        read_pairs(write(tmp_path, ["999999999\t999999999", GENUINE]))


def test_binary_junk(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(InputError, match="UTF-8"):
        read_pairs(path)
    path.write_bytes(bytes(range(1, 128)) * 20)
    with pytest.raises(InputError, match="line 1:"):
        read_pairs(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_pairs(tmp_path / "none.txt")
    with pytest.raises(InputError, match="pair file"):
        read_pairs(tmp_path)


def test_image_id() -> None:
    assert image_id("Ann", 12) == "Ann/Ann_0012.jpg"
    with pytest.raises(ValueError, match="at least 1"):
        image_id("Ann", 0)
