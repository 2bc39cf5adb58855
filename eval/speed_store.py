"""speed.json: the measured sections, each with its figures and where they come from; for eval/speed.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceunc.errors import InputError
from faceunc.provenance import provenance
from faceunc.storage import atomic_write

WORKS = ("embedding", "pairs", "search", "pooling", "roc")
SECTIONS = {  # in the order of the points: name -> minutes on two quiet cores of an AMD EPYC, about
    "scoring": 2.0,
    "extraction": 4.0,
    "detectors": 3.5,
    "engines": 1.5,
    "training": 2.5,
    "methods": 6.0,
    "growth.embedding": 5.0,
    "growth.pairs": 5.0,
    "growth.search": 2.5,
    "growth.pooling": 0.5,
    "growth.roc": 0.5,
}
ON_REQUEST = {"memory.aligned": 7.0, "memory.photographs": 15.0}
FILE = "speed.json"


def read(path: Path) -> dict[str, Any]:
    """The sections that were measured before. Raises InputError for a file that is none of ours."""
    if not path.is_file():
        return {}
    try:
        sections = dict(json.loads(path.read_text("utf-8"))["sections"])
        complete = all({"figures", "provenance"} <= section.keys() for section in sections.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise InputError(f"{path}: expected the sections of eval/speed.py; remove it to begin anew")
    return sections


def add(path: Path, name: str, figures: Mapping[str, Any], command: str) -> dict[str, Any]:
    """Store one section beside the others, which another run may have written meanwhile; all sections as they stand.

    Raises:
        InputError: as :func:`read`. OutputError: the file cannot be written.
    """
    section = {"figures": figures, "provenance": {**provenance(), "command": command}}
    write(path, {**read(path), name: section})
    return read(path)


def write(path: Path, sections: Mapping[str, Any]) -> None:
    """All sections, in the order of the issue's points; unknown ones come last."""
    order = [name for name in (*SECTIONS, *ON_REQUEST) if name in sections]
    order += [name for name in sections if name not in order]
    content = {"sections": {name: sections[name] for name in order}}
    atomic_write(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
