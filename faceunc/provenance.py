"""Where a result came from: version, commit, machine, command, libraries, date."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "numpy", "numba", "opencv-python-headless", "facenet-pytorch", "onnxruntime", "openvino")


def provenance() -> dict[str, Any]:
    """JSON-ready facts that let somebody repeat a run."""
    return {
        "faceunc": version(),
        "commit": _commit(),
        "command": "faceunc " + " ".join(_relative(word) for word in sys.argv[1:]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "system": platform.system()},
        "python": platform.python_version(),
        "libraries": {name: _version_of(name) for name in _LIBRARIES},
    }


@cache
def version() -> str:
    """Installed version of faceunc; read once, for every batch of embeddings names it."""
    return _version_of("faceunc") or "unknown"


def _version_of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _relative(word: str) -> str:
    """A path of this machine, as it looks from the current folder."""
    return os.path.relpath(word) if os.path.isabs(word) else word


def _commit() -> str | None:
    """Commit of the checkout that the code runs from, "+" when its code has changes; None when installed."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    try:
        run = [
            subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "--", "faceunc", "setup.cfg"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return run[0] + ("+" if run[1] else "")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
