"""Which comparisons a person should look at first, on LFW: errors found in so many reviews, by order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import fit_calibrator
from faceunc.confidence.evidence import Evidence, pair_evidence
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.comparisons import BOTH, CLEAN, KINDS, Comparisons, DrawOptions, draw_comparisons
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.recipes_table import Row
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.metrics.verification import best_threshold
from faceunc.protocols.pairs import PairProtocol
from faceunc.recipes.review import review_order

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
REVIEWS = (100, 200, 500, 1000)
DECISIONS = ("cosine", "mls")
THRESHOLDS: dict[str, Callable[[Floats, Bools], float]] = {
    "most accurate": best_threshold,
    "FMR 1e-2": lambda scores, same: sort_scores(scores, same).tar_at_far(1e-2).threshold,
}
RANDOM, ORACLE = "random", "oracle"
CALIBRATED = ("P(error) from cosine", "P(error) from mls", "P(error) from all")
ORDERS = (RANDOM, "|cosine - t|", "|mls - t|", "sigma of the poorer", *CALIBRATED, ORACLE)
GRID = np.arange(0, 2001, 50)


@dataclass(frozen=True)
class Judged:
    """The pairs of View 2 in one quality, and P(same person) of each by a calibrator that never met its people."""

    evidence: Evidence
    probability: dict[str, Floats]

    def score(self, name: str) -> Floats:
        """ "cosine" or "mls" of every pair."""
        return self.evidence.similarity if name == "cosine" else self.evidence.mls


def review_rows(bench: Bench, head: str, pairs: PairProtocol, seed: int) -> tuple[list[Row], dict[str, Floats]]:
    """Errors found by every order, and accuracy once they are corrected; one seed of degradation.

    Everything that is chosen (threshold, calibrator) for folds 1 to 5 comes from the people of folds 6 to 10, and the
    reverse. The 6,000 decisions of both halves are then ordered together.

    Returns:
        rows; and errors found after :data:`GRID` reviews for every "case, decision, threshold, order".
    """
    half = (pairs.fold >= pairs.num_folds // 2).astype(np.int64)
    known = draw_comparisons(bench, head, bench.heads[head].part, DrawOptions(templates=0.0, seed=seed))
    rows, curves = [], {}
    for case in KINDS:
        judged = _judge(bench, head, pairs, half, known, View() if case == CLEAN else View(mix_seed=seed), case)
        for decision in DECISIONS:
            for at, choose in THRESHOLDS.items():
                threshold = _thresholds(judged.score(decision), pairs.same, half, choose)
                accepted = judged.score(decision) >= threshold
                wrong = accepted != pairs.same
                for order in ORDERS:
                    first = _order(order, judged, half, pairs.same, accepted, choose)
                    found = _found(wrong, first)
                    labels = {"pairs": case, "decision": decision, "threshold": at, "order": order}
                    rows.append(Row(labels, _figures(found)))
                    curves[", ".join(labels.values())] = found[np.minimum(GRID, len(wrong))]
    return rows, curves


def _judge(
    bench: Bench, head: str, pairs: PairProtocol, half: Ints, known: Comparisons, view: View, case: str
) -> Judged:
    first, second = pair_rows(bench, pairs)
    left = view if case == BOTH else View()
    evidence = pair_evidence(bench.embeddings(left, head, first), bench.embeddings(view, head, second))
    found = {name: np.empty(len(pairs)) for name in CALIBRATED}
    for part in (0, 1):
        mine, others = half == part, known[known.group != part]
        found[CALIBRATED[0]][mine] = _from_cosine(others, evidence.similarity[mine])
        for name, kind in zip(CALIBRATED[1:], ("sigmoid", "monotone"), strict=True):
            calibrator = fit_calibrator(others.evidence, others.same, kind, others.weight)
            found[name][mine] = calibrator.probability(evidence[mine])
    return Judged(evidence, found)


def _from_cosine(known: Comparisons, similarity: Floats) -> Floats:
    """P(same person) of one who knows the cosine alone (Platt, 1999); both classes weighted alike."""
    from sklearn.linear_model import LogisticRegression

    share = np.where(known.same, known.weight[known.same].sum(), known.weight[~known.same].sum())
    model = LogisticRegression(C=1e4).fit(known.evidence.similarity[:, None], known.same, known.weight / share)
    return np.asarray(model.predict_proba(similarity[:, None])[:, 1])


def _thresholds(scores: Floats, same: Bools, half: Ints, choose: Callable[[Floats, Bools], float]) -> Floats:
    """(P,) for every pair the threshold that the other half chose."""
    of_half = np.array([choose(scores[half != part], same[half != part]) for part in (0, 1)])
    return np.asarray(of_half[half])


def _order(
    name: str, judged: Judged, half: Ints, same: Bools, accepted: Bools, choose: Callable[[Floats, Bools], float]
) -> Ints | None:
    """Positions, the first to look at first; None: at random."""
    if name == RANDOM:
        return None
    if name == ORACLE:
        return np.argsort(accepted == same, kind="stable")
    if name in CALIBRATED:
        return review_order(judged.probability[name], accepted)
    if name == "sigma of the poorer":
        return np.argsort(-judged.evidence.poorer, kind="stable")
    score = judged.score("cosine" if "cosine" in name else "mls")
    return np.argsort(np.abs(score - _thresholds(score, same, half, choose)), kind="stable")


def _found(wrong: Bools, order: Ints | None) -> Floats:
    """Errors found after 0..P reviews; expected ones of a random order."""
    if order is None:
        return np.asarray(wrong.sum() * (np.arange(len(wrong) + 1) / len(wrong)))
    return np.concatenate([[0.0], np.cumsum(wrong[order], dtype=np.float64)])


def _figures(found: Floats) -> dict[str, float]:
    pairs, errors = len(found) - 1, found[-1]
    figures = {"errors": float(errors), "accuracy": float(1.0 - errors / pairs)}
    for reviews in REVIEWS:
        at = float(found[min(reviews, pairs)])
        figures |= {f"found in {reviews}": at, f"accuracy after {reviews}": float(1.0 - (errors - at) / pairs)}
    return figures
