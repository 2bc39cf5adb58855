"""The figures of one cell: what an operator who chose his thresholds on clean photographs gets on poor ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.metrics.ood import auroc
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.metrics.verification import kfold_accuracy
from faceunc.protocols.pairs import PairProtocol

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
FMR = 1e-2
TARGETS = (1e-2, 1e-3)
REFUSED_CLEAN = 0.05
REPLICATES = 200
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Seen:
    """One score of all P pairs in one condition.

    Attributes:
        scores: (P,), higher = more likely the same person. sigma: (P,), the larger of the two photographs'.
    """

    scores: NDArray[np.float32]
    sigma: NDArray[np.float32]


@dataclass(frozen=True)
class Operation:
    """What an operator chose for every pair on CLEAN pairs of the other folds (other people), each (P,).

    Attributes:
        best: threshold of the best accuracy. at_fmr: threshold of FMR 1e-2. limit: the sigma above which a pair is
            refused; it refuses 5% of the clean pairs.
    """

    best: Floats
    at_fmr: Floats
    limit: Floats


def choose_operation(clean: Seen, pairs: PairProtocol) -> Operation:
    """Choose thresholds and limit. Raises InputError when the pairs have one fold only."""
    folds = np.unique(pairs.fold)
    if len(folds) < 2:
        raise InputError("thresholds are chosen on other folds: expected pairs in at least two folds, got one")
    best, at_fmr, limit = (np.empty(len(pairs)) for _ in range(3))
    thresholds = kfold_accuracy(clean.scores, pairs.same, pairs.fold).threshold
    for fold, threshold in zip(folds, thresholds, strict=True):
        here, others = pairs.fold == fold, pairs.fold != fold
        best[here] = threshold
        at_fmr[here] = sort_scores(clean.scores[others], pairs.same[others]).tar_at_far(FMR).threshold
        limit[here] = np.quantile(clean.sigma[others], 1.0 - REFUSED_CLEAN)
    return Operation(best, at_fmr, limit)


def score_figures(now: Seen, operation: Operation, pairs: PairProtocol) -> dict[str, Any]:
    """All figures of one score in one condition; "low X" and "high X" are the ends of the 95% interval of X.

    genuine, impostor: mean scores (q0.05 ...: quantiles over pairs). accuracy: at the threshold of the clean pairs of
    other folds; re-fitted: threshold of degraded pairs of other folds. FMR, FNMR: at the clean threshold of FMR 1e-2
    (threshold: its mean over folds). refused: share of pairs. guarded FMR, guarded FNMR: of all pairs, where a refused
    one is not accepted. kept FMR, kept FNMR: of the pairs that are not refused, None where none is left.
    """
    same, scores = pairs.same, now.scores.astype(np.float64)
    accepted, right = scores >= operation.at_fmr, (scores >= operation.best) == same
    refused = now.sigma > operation.limit

    def main(rows: Rows) -> dict[str, float]:
        s = same[rows]
        ordered = sort_scores(now.scores[rows], s)
        genuine, impostor = scores[rows][s], scores[rows][~s]
        return {
            "genuine": genuine.mean(),
            "impostor": impostor.mean(),
            "accuracy": right[rows].mean(),
            "FMR": accepted[rows][~s].mean(),
            "FNMR": 1.0 - accepted[rows][s].mean(),
            **{f"TAR@FAR {target:g}": ordered.tar_at_far(target).tar for target in TARGETS},
            "EER": ordered.equal_error_rate(),
            "d'": (genuine.mean() - impostor.mean()) / np.sqrt((genuine.var() + impostor.var()) / 2.0),
            "refused": refused[rows].mean(),
            "refused genuine": refused[rows][s].mean(),
            "refused impostor": refused[rows][~s].mean(),
            "guarded FMR": (accepted & ~refused)[rows][~s].mean(),
            "guarded FNMR": 1.0 - (accepted & ~refused)[rows][s].mean(),
        }

    def kept(rows: Rows) -> dict[str, float]:
        rows = rows[~refused[rows]]
        s = same[rows]
        if s.all() or not s.any():
            raise ValueError("one kind of pair is left")
        return {"kept FMR": accepted[rows][~s].mean(), "kept FNMR": 1.0 - accepted[rows][s].mean()}

    refitted = kfold_accuracy(now.scores, same, pairs.fold)
    return {
        **with_intervals(main, pairs.first_subject, pairs.second_subject),
        **_quantiles("genuine", scores[same]),
        **_quantiles("impostor", scores[~same]),
        "AUC": auroc(now.scores, same),
        "threshold": float(operation.at_fmr.mean()),
        "re-fitted accuracy": refitted.mean,
        "std re-fitted accuracy": refitted.std,
        **with_intervals(kept, pairs.first_subject, pairs.second_subject, ("kept FMR", "kept FNMR")),
    }


def image_figures(name: str, values: NDArray[np.floating], people: list[str]) -> dict[str, Any]:
    """Mean of a number per photograph with its interval over people, and quantiles."""
    found = with_intervals(lambda rows: {name: float(values[rows].mean())}, people, people)
    return found | _quantiles(name, values)


def _quantiles(name: str, values: NDArray[np.floating]) -> dict[str, float]:
    return {f"{name} q{level:g}": float(np.quantile(values, level)) for level in QUANTILES}


def with_intervals(
    figures: Callable[[Rows], dict[str, float]],
    first: tuple[str, ...] | list[str],
    second: tuple[str, ...] | list[str],
    names: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Figures of all rows and the ends of their intervals, people resampled.

    None stands for an end where the resamples have no value, and for a figure (of ``names``) that has none itself.
    """
    try:
        found = figures(np.arange(len(first)))
    except ValueError:
        if not names:
            raise
        return {f"{end}{name}": None for name in names for end in ("", "low ", "high ")}
    plain: dict[str, Any] = {name: float(value) for name, value in found.items()}
    try:
        interval = subject_bootstrap(lambda rows: np.array(list(figures(rows).values())), first, second, REPLICATES)
    except ValueError:
        return plain | {f"{end} {name}": None for name in plain for end in ("low", "high")}
    for end, values in (("low", interval.low), ("high", interval.high)):
        plain |= {f"{end} {name}": float(value) for name, value in zip(found, np.atleast_1d(values), strict=True)}
    return plain
