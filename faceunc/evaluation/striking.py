"""Where similarity misleads most and confidence says so: pairs of two people that are alike only as degraded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from faceunc.evaluation.bench import Bench
from faceunc.evaluation.calibration import TestPairs
from faceunc.evaluation.comparisons import CLEAN
from faceunc.evaluation.lfw import pair_rows
from faceunc.images.views import View
from faceunc.protocols.pairs import PairProtocol

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """Two chips, RGB (S, S, 3), who they show, their similarity, that of the clean photographs, and the confidence in
    what the similarity says."""

    chips: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    names: tuple[str, str]
    similarity: float
    clean: float
    confidence: float


def striking_examples(
    bench: Bench, pairs: PairProtocol, tested: TestPairs, log_odds: Floats, threshold: float, count: int = 10
) -> list[tuple[Example, Example]]:
    """(a degraded pair of two people, the clean pair of one person with the nearest similarity), most striking first.

    Of the pairs of two people that the plain system would accept as they are (similarity at or above ``threshold``) and
    not when clean, those whose confidence falls shortest of what is usual for clean pairs of that similarity, no person
    twice. All probabilities are held out.
    """
    p = np.asarray(expit(log_odds))
    similarity = tested.evidence.similarity
    clean = _clean_similarity(tested)
    misled = (similarity >= threshold) & (clean < threshold)
    wrong = np.flatnonzero((tested.kind != CLEAN) & ~tested.same & misled)
    right = np.flatnonzero((tested.kind == CLEAN) & tested.same & (similarity >= threshold))
    chosen: list[tuple[int, int]] = []
    met: set[str] = set()
    if not len(wrong):
        return []
    short = _usual(tested, p)(similarity[wrong]) - p[wrong]
    for row in wrong[np.argsort(-short, kind="stable")]:
        people = {pairs.first_subject[tested.row[row]], pairs.second_subject[tested.row[row]]}
        free = [k for k in right if pairs.first_subject[tested.row[k]] not in met | people]
        if people & met or not free:
            continue
        twin = min(free, key=lambda k: abs(similarity[k] - similarity[row]))
        met |= people | {pairs.first_subject[tested.row[twin]]}
        chosen.append((int(row), int(twin)))
        if len(chosen) == count:
            break
    return [
        (
            _example(bench, pairs, tested, row, p[row], clean[row]),
            _example(bench, pairs, tested, twin, p[twin], clean[twin]),
        )
        for row, twin in chosen
    ]


def _clean_similarity(tested: TestPairs) -> Floats:
    """(Q,) similarity of the clean form of every pair."""
    clean = np.flatnonzero(tested.kind == CLEAN)
    of_row = np.empty(int(tested.row.max()) + 1)
    of_row[tested.row[clean]] = tested.evidence.similarity[clean]
    return of_row[tested.row]


def _usual(tested: TestPairs, p: Floats) -> Callable[[Floats], Floats]:
    """The probability that clean pairs of a similarity get on average: a rising function of it."""
    from sklearn.isotonic import IsotonicRegression

    clean = np.flatnonzero(tested.kind == CLEAN)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(tested.evidence.similarity[clean], p[clean])
    return lambda similarity: np.asarray(fitted.predict(similarity), np.float64)


def _example(
    bench: Bench, pairs: PairProtocol, tested: TestPairs, row: int, confidence: float, clean: float
) -> Example:
    first, second = pair_rows(bench, pairs)
    seed, kind, place = int(tested.seed[row]), tested.kind[row], int(tested.row[row])
    poor = View(mix_seed=seed) if seed >= 0 else View()
    left = poor if kind.startswith("(b)") else View()
    chips = bench.source.chip(int(first[place]), left), bench.source.chip(int(second[place]), poor)
    names = pairs.first_subject[place], pairs.second_subject[place]
    return Example(chips, names, float(tested.evidence.similarity[row]), float(clean), float(confidence))
