"""Scores between :class:`Embeddings`: checked for compatibility, row by row or all against all in bounded memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.embeddings import MEAN_KEYS, VARIANCE_KEYS, Embeddings, check_compatible
from faceunc.scoring.cosine import cosine_score
from faceunc.scoring.mls import mutual_likelihood_score

_BLOCK_ELEMENTS = 8_000_000


def _cosine(a: Embeddings, b: Embeddings) -> NDArray[np.float32]:
    return cosine_score(np.asarray(a.mean), np.asarray(b.mean))


def _mls(a: Embeddings, b: Embeddings) -> NDArray[np.float32]:
    return mutual_likelihood_score(np.asarray(a.mean), np.asarray(a.log_var), np.asarray(b.mean), np.asarray(b.log_var))


PAIR_SCORES: dict[str, Callable[[Embeddings, Embeddings], NDArray[np.float32]]] = {"cosine": _cosine, "mls": _mls}


def score_pairs(first: Embeddings, second: Embeddings, score: str = "mls") -> NDArray[np.float32]:
    """Score row i of ``first`` against row i of ``second``: float32 (N,), higher = more likely the same person.

    Args:
        score: "cosine", or "mls" (the paper's form, in nats).

    Raises:
        IncompatibleError: different backbone, alignment or (for "mls") head. ValueError: unknown score, other lengths.
    """
    _check(first, second, score)
    if len(first) != len(second):
        raise ValueError(f"both sides must have the same length. Got {len(first)} and {len(second)} instead.")
    return PAIR_SCORES[score](first, second)


def score_matrix(first: Embeddings, second: Embeddings, score: str = "mls") -> NDArray[np.float32]:
    """Score everything in ``first`` against everything in ``second``: float32 (N, M), in blocks of bounded memory.

    Raises:
        IncompatibleError, ValueError: as :func:`score_pairs`.
    """
    _check(first, second, score)
    mean1, mean2 = torch.from_numpy(np.array(first.mean)), torch.from_numpy(np.array(second.mean))
    if score == "cosine":
        normal = torch.nn.functional.normalize
        return (normal(mean1, dim=1) @ normal(mean2, dim=1).T).numpy()
    var1, var2 = torch.from_numpy(np.array(first.log_var)), torch.from_numpy(np.array(second.log_var))
    out = torch.empty(len(mean1), len(mean2))
    rows = max(1, _BLOCK_ELEMENTS // max(1, mean2.numel()))
    for start in range(0, len(mean1), rows):
        part = slice(start, start + rows)
        out[part] = mutual_likelihood_score(mean1[part, None], var1[part, None], mean2[None], var2[None])
    return out.numpy()


def _check(first: Embeddings, second: Embeddings, score: str) -> None:
    if score not in PAIR_SCORES:
        raise ValueError(f"score must be one of {', '.join(PAIR_SCORES)}. Got {score!r} instead.")
    check_compatible(first, second, MEAN_KEYS if score == "cosine" else VARIANCE_KEYS)
