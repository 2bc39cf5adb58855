"""Which photographs to take again first, on LFW: errors that are left when the first k% have been replaced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import fit_calibrator
from faceunc.confidence.evidence import pair_evidence
from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.comparisons import Comparisons, DrawOptions, draw_comparisons
from faceunc.evaluation.recipes_table import Row
from faceunc.evaluation.rejection import measures
from faceunc.images.degrade import image_seed
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.recipes.review import error_probability, review_photos

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FMR = 1e-3
SHARES = (0.05, 0.1, 0.2)
PEOPLE = 300
RANDOM, EXPECTED = "random", "expected errors"
RIVALS = ("sharpness", "norm", "detector score")
_RANDOM_DRAWS = 5


@dataclass(frozen=True)
class _Side:
    """One half of the people: two degraded photographs each, all compared with all.

    Attributes:
        rows: positions of the photographs. poor, retaken: as they are, and undegraded. first, second: the comparisons.
        same: of each comparison.
    """

    rows: Ints
    poor: Embeddings
    retaken: Embeddings
    first: Ints
    second: Ints
    same: NDArray[np.bool_]

    def similarity(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((means @ means.T)[self.first, self.second])


def photo_rows(bench: Bench, head: str, seed: int) -> list[Row]:
    """Errors of deciding by cosine at FMR 1e-3, chosen on the other half of the people; one seed.

    "left after k%": share of these errors that is left when the first k% of the photographs are replaced by their
    undegraded views, and every comparison is decided anew at the same threshold.
    """
    view = View(mix_seed=seed)
    part = bench.heads[head].part
    sides = [_side(bench, head, part == number, view, seed) for number in (0, 1)]
    known = draw_comparisons(bench, head, part, DrawOptions(templates=0.0, seed=seed))
    quality = measures(bench, view)
    totals: dict[str, Floats] = defaultdict(lambda: np.zeros(1 + len(SHARES)))
    for number in (0, 1):
        side, other = sides[number], sides[1 - number]
        threshold = sort_scores(other.similarity(other.poor.mean), other.same).tar_at_far(FMR).threshold
        orders = {
            EXPECTED: _by_expected_errors(side, known[known.group != number], threshold),
            "sigma": np.argsort(-harmonic_log_var(side.poor.log_var), kind="stable"),
            **{name: np.argsort(quality[name][side.rows], kind="stable") for name in RIVALS},
        }
        rng = np.random.default_rng([seed, number, 61])
        draws = [_errors_left(side, rng.permutation(len(side.rows)), threshold, SHARES) for _ in range(_RANDOM_DRAWS)]
        totals[RANDOM] += np.mean(draws, axis=0)
        for name, order in orders.items():
            totals[name] += _errors_left(side, order, threshold, SHARES)
    rows = []
    for name in (RANDOM, *RIVALS, "sigma", EXPECTED):
        left = {
            f"left after {s:.0%}": float(e / totals[name][0]) for s, e in zip(SHARES, totals[name][1:], strict=True)
        }
        rows.append(Row({"order": name}, {"errors": float(totals[name][0]), **left}))
    return rows


def _side(bench: Bench, head: str, mine: NDArray[np.bool_], view: View, seed: int) -> _Side:
    photos, usable = bench.source.photos, bench.source.landmarks.state == 0
    by_person: dict[str, list[int]] = defaultdict(list)
    for row, (name, good) in enumerate(zip(photos.identities, mine & usable, strict=True)):
        if good:
            by_person[name].append(row)
    names = sorted((n for n, found in by_person.items() if len(found) > 1), key=lambda n: image_seed(seed, n))[:PEOPLE]
    if len(names) < 2:
        raise InputError(f"two people with two photographs each are needed in each half, found {len(names)}")
    rows = np.array([np.random.default_rng(image_seed(seed, n)).permutation(by_person[n])[:2] for n in names]).ravel()
    first, second = np.triu_indices(len(rows), 1)
    poor, clean = (bench.embeddings(v, head, rows) for v in (view, View()))
    return _Side(rows, poor, clean, first, second, first // 2 == second // 2)


def _by_expected_errors(side: _Side, known: Comparisons, threshold: float) -> Ints:
    """The recipe: what is known of other people says how likely each decision is wrong."""
    calibrator = fit_calibrator(known.evidence, known.same, "monotone", known.weight)
    evidence = pair_evidence(side.poor[side.first], side.poor[side.second])
    probability = calibrator.probability(evidence, prior=1.0 / len(side.rows))
    accepted = side.similarity(side.poor.mean) >= threshold
    return review_photos(error_probability(probability, accepted), side.first, side.second)[0]


def _errors_left(side: _Side, order: Ints, threshold: float, shares: Sequence[float]) -> Floats:
    """Errors before, and after each share of the photographs was taken again."""
    found = []
    for share in (0.0, *shares):
        means = side.poor.mean.copy()
        again = order[: round(share * len(order))]
        means[again] = side.retaken.mean[again]
        found.append(int(((side.similarity(means) >= threshold) != side.same).sum()))
    return np.array(found, np.float64)
