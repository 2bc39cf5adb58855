"""Lists of photographs: what a user names on the command line, and folders of identities."""

from __future__ import annotations

import contextlib
import glob
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from faceunc.errors import InputError
from faceunc.images.read import SUFFIXES


@dataclass(frozen=True)
class PhotoSet:
    """Photographs below one folder, named by their path relative to it (``Name/Name_0001.jpg``)."""

    root: Path
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def paths(self) -> list[Path]:
        """Full path of every photograph."""
        return [self.root / name for name in self.ids]

    @property
    def identities(self) -> list[str]:
        """The person on every photograph: the name of the folder that it lies in."""
        return [Path(name).parent.name for name in self.ids]

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of every id."""
        return {name: position for position, name in enumerate(self.ids)}

    @cached_property
    def sha256(self) -> str:
        """Hash of all names and contents: caches of this set are keyed by it. An unreadable file has no content."""
        total = hashlib.sha256()
        for name, path in zip(self.ids, self.paths, strict=True):
            total.update(name.encode("utf-8", "surrogateescape") + b"\0")
            with contextlib.suppress(OSError):
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()

    def subset(self, positions: Iterable[int]) -> PhotoSet:
        """The photographs at these positions, as a set of its own."""
        return PhotoSet(self.root, tuple(self.ids[position] for position in positions))


def identity_folder(root: str | Path) -> PhotoSet:
    """All photographs in a folder with one sub-folder a person.

    Raises:
        InputError: when the folder is missing or holds no photograph in sub-folders.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: expected a folder with one sub-folder of photographs a person, no such folder")
    ids = sorted(
        path.relative_to(root).as_posix()
        for person in root.iterdir()
        if person.is_dir()
        for path in person.iterdir()
        if _is_photo(path)
    )
    if not ids:
        raise InputError(f"{root}: expected one sub-folder of photographs a person, found no photograph in sub-folders")
    return PhotoSet(root, tuple(ids))


def find_photos(inputs: Sequence[str | Path]) -> list[Path]:
    """Expand files, folders (searched to the bottom) and glob patterns to a list without repetition.

    Inputs keep their order; what one folder or pattern gives is sorted.

    A file is taken whatever its ending (the reader judges it); in folders only files with an image's ending are.

    Raises:
        InputError: an input that does not exist, a pattern that matches nothing, or no photograph at all.
    """
    found: dict[Path, None] = {}
    for text in map(str, inputs):
        path = Path(text)
        if path.is_dir():
            matches = sorted(p for p in path.rglob("*") if _is_photo(p))
            if not matches:
                raise InputError(f"{path}: expected photographs ({', '.join(SUFFIXES)}), the folder holds none")
        elif path.exists():
            matches = [path]
        else:
            matches = sorted(p for p in map(Path, glob.glob(text, recursive=True)) if p.is_file())
            if not matches:
                kind = "no file matches this pattern" if glob.has_magic(text) else "no such file or folder"
                raise InputError(f"{text}: {kind}")
        found.update(dict.fromkeys(matches))
    if not found:
        raise InputError("expected photographs, folders or patterns, got none")
    return list(found)


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
