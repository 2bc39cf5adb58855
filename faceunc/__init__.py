"""faceunc: face embeddings with an honest uncertainty.

    >>> import faceunc
    >>> embedder = faceunc.load("dlib-pfe")
    >>> faces = embedder(["a.jpg", "b.jpg"])       # Embeddings: mean, log_var, sigma

Importing this package loads nothing heavy: names are fetched when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceunc.embedder import Embedder
    from faceunc.embeddings import Embeddings, concatenate
    from faceunc.errors import FaceuncError
    from faceunc.loading import load
    from faceunc.scoring.embedded import score_blocks, score_histogram, score_matrix, score_pairs, top_k
    from faceunc.scoring.fusion import fuse

_PLACES = {
    "Embedder": "faceunc.embedder",
    "Embeddings": "faceunc.embeddings",
    "FaceuncError": "faceunc.errors",
    "concatenate": "faceunc.embeddings",
    "fuse": "faceunc.scoring.fusion",
    "load": "faceunc.loading",
    "score_blocks": "faceunc.scoring.embedded",
    "score_histogram": "faceunc.scoring.embedded",
    "score_matrix": "faceunc.scoring.embedded",
    "score_pairs": "faceunc.scoring.embedded",
    "top_k": "faceunc.scoring.embedded",
}
__all__ = [
    "Embedder",
    "Embeddings",
    "FaceuncError",
    "concatenate",
    "fuse",
    "load",
    "score_blocks",
    "score_histogram",
    "score_matrix",
    "score_pairs",
    "top_k",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from faceunc.provenance import version

        return version()
    if name not in _PLACES:
        raise AttributeError(f"module 'faceunc' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
