"""The cells of a sweep on disk: one JSON file each, so that a sweep that is killed goes on with the next cell."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from faceunc.storage import atomic_write, cache_dir

_SWEEP = "1"  # part of every key: raise it when what a sweep computes changes


def sweep_dir(kind: str, work: Path | None = None) -> Path:
    """Where the cells of one kind of sweep lie: ``work``, or the cache's ``sweep/kind``."""
    return work or cache_dir() / "sweep" / kind


def cell_path(folder: Path, key: Mapping[str, Any]) -> Path:
    """The file of the cell that depends on ``key`` (see :func:`cell`); the order of the keys does not matter."""
    return folder / f"{blake2b(_text(key).encode(), digest_size=12).hexdigest()}.json"


def cell(folder: Path, key: Mapping[str, Any], compute: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What is stored for ``key``, else what ``compute`` gives, stored when it is done: whole or not at all.

    Args:
        folder: of :func:`sweep_dir`; made when needed.
        key: everything that the figures depend on (hashes of data, backbone and heads, precision, kind, severity, seed,
            scores ...), JSON-ready.
        compute: returns JSON-ready figures, no NaN (say None). Not called when they are stored; when it raises, nothing
            is stored.

    A file that cannot be read, or that belongs to another key, is computed again with a warning. Stored figures and
    fresh ones are the same, bit by bit: both have gone through JSON.

    Raises:
        OutputError: the folder cannot be written. ValueError: NaN or infinity. TypeError: not JSON-ready.
    """
    path = cell_path(folder, key)
    stored = _read(path, _text(key))
    if stored is not None:
        return stored
    text = json.dumps({**json.loads(_text(key)), "figures": compute()}, indent=1, allow_nan=False)
    atomic_write(path, (text + "\n").encode())
    figures: dict[str, Any] = json.loads(text)["figures"]
    return figures


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps({"sweep": _SWEEP, "key": key}, sort_keys=True, allow_nan=False)


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """The figures in the file; None when there is none, or none that can be trusted."""
    try:
        content = json.loads(path.read_bytes())
        figures = content.pop("figures")
        if json.dumps(content, sort_keys=True) == key and isinstance(figures, dict):
            return figures
        reason = "it belongs to other settings"
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error)
    warnings.warn(f"{path}: a damaged cell of a sweep is computed again ({reason})", stacklevel=3)
    return None
