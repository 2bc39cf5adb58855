"""Files are whole or not there at all; every failed write is one OutputError."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import platformdirs
import pytest

from faceunc.errors import OutputError
from faceunc.storage import atomic_path, atomic_write, cache_dir, check_writable, sha256_file


def test_write_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt()])
def test_failure_in_the_block_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_path(path) as temporary:  # noqa: PT012
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_reader_sees_the_old_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_below_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        atomic_write(tmp_path / "file" / "sub" / "x.bin", b"data")


def test_target_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="folder"):
        atomic_write(tmp_path / "folder", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="too long"):
        atomic_write(tmp_path / ("x" * 300), b"data")


def test_full_disk(small_disk: Path) -> None:
    path = small_disk / "file.bin"
    atomic_write(path, b"old")
    with pytest.raises(OutputError, match="No space left"):
        atomic_write(path, bytes(200_000))
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_no_space_inside_the_block(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"), atomic_path(tmp_path / "file.bin"):
        Path("/dev/full").write_bytes(b"data")
    assert not list(tmp_path.iterdir())


def test_sha256_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"faceunc" * 100_000)
    assert sha256_file(tmp_path / "file") == hashlib.sha256(b"faceunc" * 100_000).hexdigest()


def test_cache_dir(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEUNC_CACHE", "/some/where")
    assert cache_dir() == Path("/some/where")
    monkeypatch.setenv("FACEUNC_CACHE", "")
    assert cache_dir() == Path(platformdirs.user_cache_dir("faceunc"))


def test_a_device_or_folder_is_never_replaced(tmp_path: Path) -> None:
    for place in (Path("/dev/null"), tmp_path):
        with pytest.raises(OutputError, match="folder or a device"):
            atomic_write(place, b"data")
        with pytest.raises(OutputError, match="folder or a device"):
            check_writable(place)
    assert Path("/dev/null").is_char_device()


def test_an_unwritable_place_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    path = tmp_path / "file" / "out.bin"
    with pytest.raises(OutputError, match=f"^{re.escape(str(path))}: cannot write"):
        check_writable(path)
