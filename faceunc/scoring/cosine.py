"""Cosine similarity: what the frozen model alone says."""

from __future__ import annotations

from typing import TypeVar

import torch

from faceunc.scoring.arrays import numpy_in_numpy_out

Array = TypeVar("Array")


@numpy_in_numpy_out
def cosine_score(mean1: Array, mean2: Array) -> Array:
    """Cosine between embeddings of shape (..., D), broadcast against each other -> (...,).

    In [-1, 1]; higher = more likely the same person. The inputs need not be normalised.
    """
    cosine = torch.nn.functional.cosine_similarity(mean1, mean2, dim=-1)  # type: ignore[arg-type]
    return cosine.clamp(-1.0, 1.0)  # type: ignore[return-value]  # rounding may step over by 1e-7
