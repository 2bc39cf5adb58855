"""Files: whole or not at all, and hashed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from faceunc.errors import OutputError


def cache_dir() -> Path:
    """The folder for caches: the environment variable FACEUNC_CACHE, else the user's cache folder of the system."""
    return Path(os.environ.get("FACEUNC_CACHE") or platformdirs.user_cache_dir("faceunc"))


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn what the system says about a failed write (full disk, no permission) into one clear OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; when the block ends well it takes the name ``path``, else it is removed.

    A reader (or a run after a crash) sees the old file or the new one, never a part.

    Raises:
        OutputError: when the folder cannot be made or the file cannot be written.
    """
    path = Path(path)
    with output_errors(path):
        _make_place(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def check_writable(path: str | Path) -> None:
    """Find out before long work whether ``path`` can be written; nothing that stands there is touched.

    Raises:
        OutputError: when it cannot.
    """
    path = Path(path)
    with output_errors(path):
        _make_place(path)
        tempfile.NamedTemporaryFile(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent).close()


def _make_place(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: expected the name of a file to write, this is a folder or a device")
    path.parent.mkdir(parents=True, exist_ok=True)


def atomic_write(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all. Raises OutputError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
