"""Scores between :class:`Embeddings`: checked for compatibility, row by row or all against all in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from faceunc.embeddings import MEAN_KEYS, VARIANCE_KEYS, Embeddings, check_compatible
from faceunc.errors import IncompatibleError
from faceunc.scoring.all_pairs import mls_blocks, mls_matrix
from faceunc.scoring.cosine import cosine_score
from faceunc.scoring.histogram import ScoreHistogram, mls_histogram
from faceunc.scoring.mls import mutual_likelihood_score
from faceunc.scoring.search import TopK, cosine_top_k, mls_top_k
from faceunc.scoring.vmf import vmf_score

_BLOCK_ELEMENTS = 8_000_000


@dataclass(frozen=True)
class Score:
    """One way to compare embeddings.

    Attributes:
        compare: (mean1, log_var1, mean2, log_var2) -> scores, float32 tensors (..., D) broadcast against each other;
            higher = more likely the same person.
        keys: what must agree in the ``meta`` of both sides.
    """

    compare: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    keys: tuple[str, ...]


def _cosine(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    return cosine_score(mean1, mean2)


def _vmf(mean1: Tensor, log_var1: Tensor, mean2: Tensor, log_var2: Tensor) -> Tensor:
    """A head of concentrations stores log_var = -log kappa, one a row."""
    for log_var in (log_var1, log_var2):
        if log_var.shape[-1] != 1:
            raise ValueError(
                f"score 'vmf' needs log_var = -log kappa of width 1. Got width {log_var.shape[-1]} instead."
            )
    score: Tensor = vmf_score(mean1, -log_var1, mean2, -log_var2)
    return score


SCORES = {
    "cosine": Score(_cosine, MEAN_KEYS),
    "mls": Score(mutual_likelihood_score, VARIANCE_KEYS),
    "vmf": Score(_vmf, VARIANCE_KEYS),
}


def score_pairs(first: Embeddings, second: Embeddings, score: str = "mls") -> NDArray[np.float32]:
    """Score row i of ``first`` against row i of ``second``: float32 (N,), higher = more likely the same person.

    Args:
        score: "cosine", "mls" (the paper's form, in nats), or "vmf" (nats; log_var = -log kappa, of width 1).

    Raises:
        IncompatibleError: different backbone, alignment or (for all but "cosine") head.
        ValueError: unknown score, other lengths, "vmf" with a variance per dimension.
    """
    _check(first, second, score)
    if len(first) != len(second):
        raise ValueError(f"both sides must have the same length. Got {len(first)} and {len(second)} instead.")
    return SCORES[score].compare(*_sides(first), *_sides(second)).numpy()


def score_matrix(first: Embeddings, second: Embeddings, score: str = "mls") -> NDArray[np.float32]:
    """Score everything in ``first`` against everything in ``second``: float32 (N, M), in blocks of bounded memory.

    Raises:
        IncompatibleError, ValueError: as :func:`score_pairs`.
    """
    _check(first, second, score)
    if score == "mls":
        return mls_matrix(first, second)
    (mean1, var1), (mean2, var2) = _sides(first), _sides(second)
    out = torch.empty(len(mean1), len(mean2))
    rows = max(1, _BLOCK_ELEMENTS // max(1, mean2.numel()))
    for start in range(0, len(mean1), rows):
        part = slice(start, start + rows)
        out[part] = SCORES[score].compare(mean1[part, None], var1[part, None], mean2[None], var2[None])
    return out.numpy()


def score_blocks(first: Embeddings, second: Embeddings) -> Iterator[tuple[slice, slice, NDArray[np.float32]]]:
    """All MLS scores, block by block: (rows of ``first``, columns of ``second``, float32 block).

    A block has at most 256 x 8,192 scores and may be kept; the order is the same in every run.

    Raises:
        IncompatibleError, ValueError: as :func:`score_pairs`.
    """
    _check(first, second, "mls")
    return mls_blocks(first, second)


def score_histogram(
    first: Embeddings,
    second: Embeddings | None,
    person1: ArrayLike,
    person2: ArrayLike | None = None,
    edges: NDArray[np.float32] | None = None,
    bins: int = 65_536,
) -> ScoreHistogram:
    """Genuine and impostor MLS counted in bins, for a ROC without stored scores: ``tar_at_far(1e-4)`` of the result.

    Args:
        second: None compares ``first`` with itself, each pair of different rows once.
        person1, person2: (N,), (M,) whole numbers: who is on each photograph; equal ones make a pair genuine.
        edges: equally spaced thresholds; None puts ``bins`` of them around the scores of a sample of pairs.

    Raises:
        IncompatibleError: as :func:`score_pairs`. ValueError: lengths that do not fit, edges that are not equally
            spaced, one of ``second`` and ``person2`` without the other, scores that are not finite.
    """
    _check(first, first if second is None else second, "mls")
    return mls_histogram(first, second, person1, person2, edges, bins)


def top_k(probes: Embeddings, gallery: Embeddings, k: int, score: str = "mls") -> TopK:
    """The k best of ``gallery`` for every probe, by "mls" or "cosine": scores and positions, float32 and int64 (P, k),
    from high to low; of equal scores the lower position is first. Exact, as if all scores were computed and sorted;
    a memory-mapped gallery is read piece by piece.

    Raises:
        IncompatibleError, ValueError: as :func:`score_pairs`, k out of range, another score.
    """
    _check(probes, gallery, score)
    if score == "mls":
        return mls_top_k(probes, gallery, k)
    if score == "cosine":
        return cosine_top_k(probes, gallery, k)
    raise ValueError(f"score must be mls or cosine to search. Got {score!r} instead.")


def _sides(embeddings: Embeddings) -> tuple[Tensor, Tensor]:
    """(mean, log_var) as tensors; copied, for stored embeddings are read-only memory maps."""
    return torch.from_numpy(np.array(embeddings.mean)), torch.from_numpy(np.array(embeddings.log_var))


def _check(first: Embeddings, second: Embeddings, score: str) -> None:
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(SCORES)}. Got {score!r} instead.")
    check_compatible(first, second, SCORES[score].keys)
    made_by = first.meta.get("method", "vmf")
    if score == "vmf" and made_by != "vmf":
        raise IncompatibleError(f"score 'vmf' reads concentrations: expected a head of method vmf, got {made_by!r}")
