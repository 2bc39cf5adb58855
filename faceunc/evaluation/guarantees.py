"""Do the promises hold? Thresholds set on half of the people, errors counted on the other half, many times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import fit_calibrator
from faceunc.confidence.dependence import Dependence
from faceunc.confidence.guarantee import fmr_threshold
from faceunc.evaluation.comparisons import Comparisons
from faceunc.progress import bar

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SplitOptions:
    """Splits: how many, the FMRs that are promised, with which confidence, from which seed."""

    splits: int = 200
    targets: tuple[float, ...] = (1e-2, 1e-3)
    confidence: float = 0.95
    seed: int = 0


def evaluate_guarantees(
    drawn: Comparisons, options: SplitOptions | None = None, show: bool | None = None
) -> list[dict[str, Any]]:
    """One row a score and target: in how many splits the FMR of the unseen half exceeds what was promised.

    Similarity and MLS: the threshold is set on half of the people. Log-odds: a calibrator is fitted on a quarter of the
    people, the threshold is set on another quarter. Errors are counted on the other half in every case.

    Two promises are tested. "population": the FMR in the population, for which the unseen half is but another sample,
    so that its own noise adds to the share of splits in which it lies above the target. "next": the share seen in as
    many new comparisons as the unseen half is worth, which is what the column "exceeded" speaks of.
    """
    options = options or SplitOptions()
    rng = np.random.default_rng([options.seed, 11])
    people = int(max(drawn.first.max(), drawn.second.max())) + 1
    results: dict[tuple[str, float, str], list[tuple[float, float, float]]] = {}
    progress = bar("splits", options.splits, "split", show=show)
    for _ in range(options.splits):
        progress.update(1)
        quarter = rng.permutation(people) % 4
        of_first, of_second = quarter[drawn.first], quarter[drawn.second]
        halves = [np.flatnonzero((of_first // 2 == k) & (of_second // 2 == k)) for k in (0, 1)]
        quarters = [np.flatnonzero((of_first == k) & (of_second == k)) for k in (0, 1)]
        for name, known, unseen, scores in _scores(drawn, halves, quarters):
            for target in options.targets:
                for promise, rates in _one(drawn, known, unseen, scores, target, options).items():
                    results.setdefault((name, target, promise), []).append(rates)
    return [_row(name, target, promise, np.array(rates), options) for (name, target, promise), rates in results.items()]


def _scores(drawn: Comparisons, halves: list[Ints], quarters: list[Ints]) -> list[tuple[str, Ints, Ints, Floats]]:
    """(name, rows that set the threshold, unseen rows, scores of everything)."""
    fitted = drawn[quarters[0]]
    calibrator = fit_calibrator(fitted.evidence, fitted.same, "monotone", fitted.weight)
    odds = np.full(len(drawn), np.nan)
    for rows in (quarters[1], halves[1]):
        odds[rows] = calibrator.log_odds(drawn.evidence[rows])
    return [
        ("similarity", halves[0], halves[1], drawn.evidence.similarity),
        ("MLS", halves[0], halves[1], drawn.evidence.mls),
        ("log-odds", quarters[1], halves[1], odds),
    ]


def _one(
    drawn: Comparisons, known: Ints, unseen: Ints, scores: Floats, target: float, options: SplitOptions
) -> dict[str, tuple[float, float, float]]:
    """promise -> (FMR, FNMR on the unseen half, effective comparisons that the promise rests on)."""
    impostor = known[~drawn.same[known]]
    others, genuine = unseen[~drawn.same[unseen]], unseen[drawn.same[unseen]]
    rates = {}
    for promise in ("population", "next"):
        future = None
        if promise == "next":
            accepted = scores[impostor] >= np.quantile(scores[impostor], 1.0 - target)
            effect = Dependence(drawn.first[impostor], drawn.second[impostor]).effect(accepted)
            future = int(len(others) / effect)
        found = fmr_threshold(
            scores[impostor], drawn.first[impostor], drawn.second[impostor], target, options.confidence, future
        )
        fmr, fnmr = (scores[others] >= found.threshold).mean(), (scores[genuine] < found.threshold).mean()
        rates[promise] = float(fmr), float(fnmr), found.effective
    return rates


def _row(name: str, target: float, promise: str, rates: Floats, options: SplitOptions) -> dict[str, Any]:
    return {
        "score": name,
        "FMR promised": target,
        "promise": promise,
        "confidence": options.confidence,
        "splits": len(rates),
        "exceeded": float((rates[:, 0] > target).mean()),
        "FMR, mean": float(rates[:, 0].mean()),
        "FMR, 95% quantile": float(np.quantile(rates[:, 0], 0.95)),
        "FNMR, mean": float(rates[:, 1].mean()),
        "effective comparisons": float(rates[:, 2].mean()),
    }
