"""Are the probabilities true? Calibrators fitted on some people, judged on others, overall and by quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import Calibrator, fit_calibrator
from faceunc.confidence.evidence import Evidence, join_evidence, pair_evidence
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.comparisons import KINDS, Comparisons, DrawOptions, draw_comparisons
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.images.views import View
from faceunc.metrics.calibration import Reliability, brier, expected_calibration_error, nll, reliability
from faceunc.protocols.pairs import PairProtocol

Floats = NDArray[np.float64]
QUALITY_BINS = 5


@dataclass(frozen=True)
class TestPairs:
    """View 2's pairs: clean, (a) and (b), the degraded ones once a seed.

    Attributes:
        evidence: of Q pairs. same: (Q,). fold: (Q,). row: (Q,) of the pair in the protocol. kind: (Q,) of KINDS.
        seed: (Q,) of the degradation, -1 for clean pairs.
    """

    __test__ = False  # not a class of tests

    evidence: Evidence
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]
    row: NDArray[np.int64]
    kind: NDArray[np.str_]
    seed: NDArray[np.int64]


def view2_pairs(bench: Bench, pairs: PairProtocol, head: str) -> TestPairs:
    """Evidence of the pairs of ``cross-quality`` and their clean forms, each person by a head that never met them."""
    first, second = pair_rows(bench, pairs)
    clean = View()
    cases = [(KINDS[0], -1, clean, clean)]
    for seed in TEST_SEEDS:
        poor = View(mix_seed=seed)
        cases += [(KINDS[1], seed, clean, poor), (KINDS[2], seed, poor, poor)]
    evidence = [
        pair_evidence(bench.embeddings(left, head, first), bench.embeddings(right, head, second))
        for _, _, left, right in cases
    ]
    count, times = len(pairs), len(cases)
    return TestPairs(
        join_evidence(evidence),
        np.tile(pairs.same, times),
        np.tile(pairs.fold, times),
        np.tile(np.arange(count), times),
        np.repeat([kind for kind, *_ in cases], count),
        np.repeat([seed for _, seed, *_ in cases], count),
    )


def fold_groups(bench: Bench, pairs: PairProtocol, head: str, seed: int = 0) -> NDArray[np.int64]:
    """(N,) a group for every photograph: its person's fold; whoever is in no pair joins a fold of the same part."""
    part, identities = bench.heads[head].part, bench.source.photos.identities
    of_fold = {name: fold for fold in range(pairs.num_folds) for name in pairs.identities_of_folds({fold})}
    half = pairs.num_folds // 2
    folds = (range(half), range(half, pairs.num_folds))
    rng = np.random.default_rng([seed, 7])
    for name, number in sorted(zip(identities, part.tolist(), strict=True)):
        if name not in of_fold:
            of_fold[name] = int(rng.choice(folds[number]))
    return np.array([of_fold[name] for name in identities])


def cross_fit_calibrators(
    drawn: Comparisons, folds: int, kind: str, meta: dict[str, str] | None = None
) -> list[Calibrator]:
    """One calibrator a fold, fitted on the other folds of the same half (they share the head, and no person)."""
    half = folds // 2
    found = []
    for fold in range(folds):
        rows = np.flatnonzero((drawn.group != fold) & ((drawn.group < half) == (fold < half)))
        used = drawn[rows]
        found.append(fit_calibrator(used.evidence, used.same, kind, used.weight, meta))
    return found


def held_out_log_odds(calibrators: list[Calibrator], evidence: Evidence, fold: NDArray[np.int64]) -> Floats:
    """(Q,) log-odds, each by the calibrator that had not seen the people of its fold."""
    odds = np.empty(len(evidence))
    for number, calibrator in enumerate(calibrators):
        rows = np.flatnonzero(fold == number)
        odds[rows] = calibrator.log_odds(evidence[rows])
    return odds


def calibration_figures(p: Floats, same: NDArray[np.bool_], poorer: Floats) -> dict[str, float]:
    """ECE (15 bins), that of the worst of five quality bins of equal size (by sigma of the poorer side), Brier, NLL."""
    return {
        "ECE": expected_calibration_error(p, same),
        "ECE, worst quality bin": max(ece for ece, _ in quality_bins(p, same, poorer)),
        "Brier": brier(p, same),
        "NLL": nll(p, same),
    }


def quality_bins(p: Floats, same: NDArray[np.bool_], poorer: Floats) -> list[tuple[float, Reliability]]:
    """(ECE, diagram) from the best fifth of the comparisons to the poorest."""
    edges = np.quantile(poorer, np.linspace(0, 1, QUALITY_BINS + 1)[1:-1])
    number = np.searchsorted(edges, poorer)
    return [
        (expected_calibration_error(p[number == i], same[number == i]), reliability(p[number == i], same[number == i]))
        for i in range(QUALITY_BINS)
    ]


@dataclass(frozen=True)
class CalibrationReport:
    """One head: rows of figures by kind of calibrator and set; probabilities of the default kind for the pictures."""

    rows: list[dict[str, Any]]
    pairs: TestPairs
    log_odds: Floats
    drawn: Comparisons


def evaluate_calibration(
    bench: Bench, pairs: PairProtocol, head: str, kinds: tuple[str, ...], options: DrawOptions | None = None
) -> CalibrationReport:
    """Every kind of calibrator on View 2's pairs and on held-out templates; the last of ``kinds`` is the default."""
    from scipy.special import expit

    tested = view2_pairs(bench, pairs, head)
    drawn = draw_comparisons(bench, head, fold_groups(bench, pairs, head), options)
    balanced = _balanced_rows(drawn)
    rows: list[dict[str, Any]] = []
    for kind in kinds:
        calibrators = cross_fit_calibrators(drawn, pairs.num_folds, kind)
        odds = held_out_log_odds(calibrators, tested.evidence, tested.fold)
        sets = {"View 2, all": np.arange(len(odds))} | {name: np.flatnonzero(tested.kind == name) for name in KINDS}
        for name, chosen in sets.items():
            figures = calibration_figures(
                np.asarray(expit(odds[chosen])), tested.same[chosen], tested.evidence.poorer[chosen]
            )
            rows.append({"head": head, "calibrator": kind, "set": name, "comparisons": len(chosen), **figures})
        held = drawn[balanced]
        p = np.asarray(expit(held_out_log_odds(calibrators, held.evidence, held.group)))
        figures = calibration_figures(p, held.same, held.evidence.poorer)
        rows.append({"head": head, "calibrator": kind, "set": "templates", "comparisons": len(p), **figures})
    return CalibrationReport(rows, tested, odds, drawn)


def _balanced_rows(drawn: Comparisons, seed: int = 0) -> NDArray[np.int64]:
    """Comparisons with a template on a side, as many of two people as of one, so that the prior is one half."""
    rng = np.random.default_rng([seed, 9])
    genuine = np.flatnonzero(drawn.same & ~drawn.single)
    impostor = np.flatnonzero(~drawn.same & ~drawn.single)
    count = min(len(genuine), len(impostor))
    return np.sort(np.concatenate([rng.choice(rows, count, replace=False) for rows in (genuine, impostor)]))
