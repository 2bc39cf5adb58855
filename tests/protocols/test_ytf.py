"""YTF's list of pairs, and the frames of a video."""

from __future__ import annotations

from pathlib import Path

import pytest

from faceunc.errors import InputError
from faceunc.protocols.ytf import read_ytf, video_frames

HEADER = "split number, first name, second name, is same"
LINES = [
    line
    for split in range(1, 11)
    for line in (f"{split}, Ann_Lee/0, Ann_Lee/4, 1", f"{split}, Bob/1, Ann_Lee/0, 0", f"{split},Bob/1,J._Doe/0,0")
]


def write(folder: Path, lines: list[str]) -> Path:
    path = folder / "splits.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_splits(tmp_path: Path) -> None:
    protocol = read_ytf(write(tmp_path, [HEADER, *LINES]))
    assert (len(protocol), protocol.num_folds) == (30, 10)
    assert protocol.same.tolist() == [True, False, False] * 10
    assert protocol.fold.tolist() == [fold for fold in range(10) for _ in range(3)]
    assert (protocol.first[1], protocol.second[1]) == ("Bob/1", "Ann_Lee/0")
    assert (protocol.first_subject[1], protocol.second_subject[2]) == ("Bob", "J._Doe")
    assert protocol.images == ["Ann_Lee/0", "Ann_Lee/4", "Bob/1", "J._Doe/0"]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([""], "line 1: expected a header"),
        (LINES, "line 1: expected a header"),
        ([HEADER, "11, Ann/0, Ann/1, 1", *LINES[1:]], "line 2: expected 'split 1..10"),
        ([HEADER, "0, Ann/0, Ann/1, 1", *LINES[1:]], "line 2:"),
        ([HEADER, *LINES[:3], "2, Ann/0, Ann/1", *LINES[4:]], "line 5:"),
        ([HEADER, "", "1, Ann/0, Ann/1, yes"], "line 3:"),
        ([HEADER, "1, Ann/0, Ann/1, 0"], "line 2:"),
        ([HEADER, "1, Ann/0, Bob/1, 1"], "line 2:"),
        ([HEADER, "1, Ann, Ann/1, 1"], "line 2:"),
        ([HEADER, "1, ../0, ../1, 1"], "line 2:"),
        ([HEADER, "1, a/b/0, a/b/1, 1"], "line 2:"),
        ([HEADER, *LINES[:-1]], r"10 splits of one size. Got sizes \[3, 3, 3, 3, 3, 3, 3, 3, 3, 2\]"),
        ([HEADER, *LINES[:-3]], "10 splits"),
        ([HEADER], "10 splits"),
    ],
)
def test_damaged_lists(tmp_path: Path, lines: list[str], message: str) -> None:
    path = write(tmp_path, lines)
    with pytest.raises(InputError, match=message) as caught:
        read_ytf(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_binary(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_ytf(tmp_path / "splits.txt")
    (tmp_path / "splits.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        read_ytf(tmp_path / "splits.txt")


@pytest.mark.parametrize("prefix", ["3.", "aligned_detect_3."])
def test_frames_in_the_order_of_their_numbers(tmp_path: Path, prefix: str) -> None:
    folder = tmp_path / "Ann_Lee" / "3"
    folder.mkdir(parents=True)
    for number in (1000, 2, 10, 99, 100, 101, 1, 30, 20):
        (folder / f"{prefix}{number}.jpg").touch()
    (folder / "labels.txt").touch()
    (folder / "notes.jpg").touch()
    order = [1, 2, 10, 20, 30, 99, 100, 101, 1000]

    def frames(sample: int | None) -> list[int]:
        found = video_frames(tmp_path, "Ann_Lee/3", sample)
        assert all((tmp_path / frame).is_file() for frame in found)
        return [int(frame.split(".")[-2]) for frame in found]

    assert frames(None) == frames(9) == frames(50) == order
    assert frames(1) == [30]
    assert frames(3) == [2, 30, 101]
    assert frames(2) == [10, 100]
    assert all(len(set(frames(sample))) == sample for sample in range(1, 10))
    assert video_frames(tmp_path, "Ann_Lee/3", 1) == [f"Ann_Lee/3/{prefix}30.jpg"]


def test_videos_without_frames(tmp_path: Path) -> None:
    (tmp_path / "Ann" / "0").mkdir(parents=True)
    assert video_frames(tmp_path, "Ann/0", None) == []
    assert video_frames(tmp_path, "Ann/1", 5) == []
    with pytest.raises(ValueError, match="at least 1"):
        video_frames(tmp_path, "Ann/0", 0)
