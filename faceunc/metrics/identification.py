"""1:N search: CMC over mated probes, TPIR at FPIR for open sets. Similarity: higher = same person.

Galleries (G1 and G2 of IJB) are evaluated apart and their figures averaged by the caller. A search is boiled down to
four numbers per probe, block by block: nothing of size probes x gallery is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.values import Bools, Floats, between


@dataclass(frozen=True)
class SearchResult:
    """What the figures need of a search by Q probes.

    Attributes:
        mated: (Q,) whether the gallery holds the probe's subject.
        mated_score: (Q,) best score of the subject's own entries; NaN where not mated.
        rank: (Q,) from 1: 1 + the number of other subjects' entries with a score >= mated_score (an equal score
            counts against us); 0 where not mated.
        top_other: (Q,) highest score of another subject; -inf where there is none.
    """

    mated: Bools
    mated_score: Floats
    rank: NDArray[np.int64]
    top_other: Floats

    def __post_init__(self) -> None:
        """Raise ValueError unless all four are (Q,), Q >= 1."""
        shapes = [np.shape(part) for part in (self.mated, self.mated_score, self.rank, self.top_other)]
        if any(len(shape) != 1 or shape != shapes[0] or shape == (0,) for shape in shapes):
            raise ValueError(f"mated, mated_score, rank and top_other must be (Q,), Q >= 1. Got {shapes} instead.")


@dataclass(frozen=True)
class TpirAtFpir:
    """One operating point: the largest TPIR whose FPIR does not exceed the target. FNIR is 1 - TPIR.

    Attributes:
        target: the FPIR asked for. fpir: the FPIR achieved (<= target). tpir: true positive identification rate.
        threshold: accept where score >= threshold (infinite when no observed score may be accepted).
        mated, non_mated: counts of probes. false_positives: non-mated probes with an accepted candidate.
    """

    target: float
    fpir: float
    tpir: float
    threshold: float
    mated: int
    non_mated: int
    false_positives: int

    @property
    def reliable(self) -> bool:
        """Whether at least ten non-mated probes stand behind the target (target x non_mated >= 10)."""
        return self.target * self.non_mated >= 10 - 1e-9


def search_block(scores: ArrayLike, probe_subject: ArrayLike, gallery_subject: ArrayLike) -> SearchResult:
    """Boil a block of the search down.

    Args:
        scores: (q, G) finite, q probes against the whole gallery. probe_subject: (q,), gallery_subject: (G,), both
            integers or both strings. A subject may have several entries in the gallery: the best counts, and its
            others are never another subject's. Other subjects' entries count one by one in the rank.

    Raises:
        ValueError: shapes that do not fit, nothing in a block, NaN or infinite scores, or subjects of two kinds.
    """
    block, probes, gallery = np.asarray(scores), np.asarray(probe_subject), np.asarray(gallery_subject)
    if block.shape != (probes.size, gallery.size) or probes.ndim != 1 or gallery.ndim != 1 or not block.size:
        raise ValueError(
            "scores, probe_subject and gallery_subject must be (q, G), (q,) and (G,), q and G >= 1. "
            f"Got {block.shape}, {probes.shape} and {gallery.shape} instead."
        )
    if (probes.dtype.kind in "iu") != (gallery.dtype.kind in "iu"):
        raise ValueError(f"subjects must be of one kind. Got {probes.dtype} and {gallery.dtype} instead.")
    block = block if block.dtype.kind == "f" else block.astype(np.float64)
    if not np.isfinite(block).all():
        raise ValueError(f"scores must be finite. Got {int((~np.isfinite(block)).sum())} NaN or infinite instead.")
    own = probes[:, None] == gallery[None, :]
    mated = own.any(axis=1)
    best = np.where(own, block, -np.inf).max(axis=1)
    others = np.where(own, -np.inf, block)
    rank = np.where(mated, 1 + (others >= best[:, None]).sum(axis=1), 0)
    mated_score = np.where(mated, best, np.nan).astype(np.float64)
    return SearchResult(mated, mated_score, rank.astype(np.int64), others.max(axis=1).astype(np.float64))


def join(results: Sequence[SearchResult]) -> SearchResult:
    """The results of several blocks of probes against one gallery as one. Raises ValueError when there are none."""
    if not results:
        raise ValueError("results must hold at least one block. Got none instead.")
    return SearchResult(
        np.concatenate([r.mated for r in results]),
        np.concatenate([r.mated_score for r in results]),
        np.concatenate([r.rank for r in results]),
        np.concatenate([r.top_other for r in results]),
    )


def cmc(result: SearchResult, ranks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """Share of the MATED probes whose mate comes at the rank or before it, by rank (closed set; no threshold).

    Raises:
        ValueError: no mated probe, or a rank below 1.
    """
    if not result.mated.any():
        raise ValueError(f"result must hold mated probes. Got none of {len(result.mated)} instead.")
    for rank in ranks:
        _at_least_one(rank)
    mates = result.rank[result.mated]
    return {int(rank): float((mates <= rank).mean()) for rank in ranks}


def tpir_at_fpir(result: SearchResult, target: float, rank: int = 1) -> TpirAtFpir:
    """Open set (ISO/IEC 19795-1): the share of mated probes found at ``rank`` or before it, above the threshold.

    The threshold is the lowest observed score at which the share of NON-MATED probes with a candidate (their highest
    score) does not exceed ``target``; equal scores are accepted together.

    Raises:
        ValueError: target outside [0, 1], a rank below 1, or no mated or no non-mated probe.
    """
    between("target", target, 0.0, 1.0)
    _at_least_one(rank)
    mated, non_mated = int(result.mated.sum()), int((~result.mated).sum())
    if not (mated and non_mated):
        raise ValueError(f"result must hold mated and non-mated probes. Got {mated} and {non_mated} instead.")
    mates, alarms = result.mated_score[result.mated], result.top_other[~result.mated]
    threshold = _threshold(mates, alarms, target)
    false = int((alarms >= threshold).sum())
    found = (result.rank[result.mated] <= rank) & (mates >= threshold)
    return TpirAtFpir(target, false / non_mated, float(found.mean()), threshold, mated, non_mated, false)


def dir_at_far(result: SearchResult, target: float) -> TpirAtFpir:
    """Detection and identification rate at rank 1 and a false alarm rate (Phillips, Grother & Micheals 2011).

    Another name of :func:`tpir_at_fpir` at rank 1: DIR = TPIR, FAR (of a watch list) = FPIR.
    """
    return tpir_at_fpir(result, target, rank=1)


def _threshold(mates: Floats, alarms: Floats, target: float) -> float:
    """The lowest observed score that at most target x len(alarms) of the alarms reach; inf when there is none."""
    allowed = int(target * len(alarms) * (1 + 1e-12))
    observed = np.concatenate([mates, alarms])
    if allowed < len(alarms):
        forbidden = np.sort(alarms)[::-1][allowed]
        observed = observed[observed > forbidden]
    return float(observed.min()) if len(observed) else float("inf")


def _at_least_one(rank: int) -> None:
    """Raise ValueError for a rank below 1."""
    if rank < 1:
        raise ValueError(f"rank must be at least 1. Got {rank} instead.")
