"""Heads that are installed with faceunc (the folder ``pretrained/`` of the checkout), by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from faceunc.errors import InputError

DETECTOR_PREFIX = "mtcnn-"  # files named so belong to the detector (faceunc.detection.store) and are no heads;
# NAME.calibrator.safetensors belongs to the head NAME (faceunc.confidence.store)


def shipped_folder() -> Path:
    """Where the shipped heads lie: the installed package ``faceunc.pretrained``, or the checkout's folder."""
    found = importlib.util.find_spec("faceunc.pretrained")
    if found is not None and found.submodule_search_locations:
        return Path(next(iter(found.submodule_search_locations)))
    return Path(__file__).resolve().parents[2] / "pretrained"


def shipped_names() -> list[str]:
    """Names that :func:`head_path` knows."""
    stems = (path.stem for path in shipped_folder().glob("*.safetensors"))
    return sorted(stem for stem in stems if not stem.startswith(DETECTOR_PREFIX) and "." not in stem)


def head_path(name: str | Path) -> Path:
    """The file of a shipped head, or ``name`` itself when it is the path of a head.

    Raises:
        InputError: neither.
    """
    shipped = shipped_folder() / f"{name}.safetensors"
    if str(name) in shipped_names():
        return shipped
    path = Path(name)
    if path.suffix == ".safetensors":
        return path
    raise InputError(
        f"head must be one of {', '.join(shipped_names())}, or a path *.safetensors. Got {str(name)!r} instead."
    )
