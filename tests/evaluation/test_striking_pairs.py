"""The most striking pairs: accepted only because they are degraded, nobody twice, each with a clean twin."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.confidence import Evidence
from faceunc.evaluation.calibration import TestPairs
from faceunc.evaluation.comparisons import BOTH, CLEAN, KINDS, ONE
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.evaluation.striking import Example, striking_examples
from faceunc.images.views import View
from faceunc.protocols.pairs import PairProtocol

PEOPLE, GENUINE, IMPOSTOR, THRESHOLD, COUNT = 150, 220, 220, 0.5, 10


def protocol() -> PairProtocol:
    """Pairs of people who meet again in other pairs."""
    rng = np.random.default_rng(0)
    one = [f"p{k % PEOPLE}" for k in range(GENUINE)] + [f"p{k}" for k in rng.integers(0, PEOPLE, IMPOSTOR)]
    other = one[:GENUINE] + [f"p{(int(name[1:]) + 1 + k % 5) % PEOPLE}" for k, name in enumerate(one[GENUINE:])]
    same = np.arange(GENUINE + IMPOSTOR) < GENUINE
    ids = [[f"{name}/{k}.{side}" for k, name in enumerate(names)] for side, names in ((1, one), (2, other))]
    fold = np.zeros(len(one), np.int64)
    return PairProtocol(tuple(ids[0]), tuple(ids[1]), same, fold, tuple(one), tuple(other))


def fake_bench(pairs: PairProtocol) -> Any:
    """A chip holds the row of its photograph and the seed of its degradation."""
    index = {name: k for k, name in enumerate(pairs.images)}

    def chip(row: int, view: View) -> NDArray[np.uint8]:
        return np.array([[[row // 256, row % 256, view.mix_seed or 0]]], np.uint8)

    return SimpleNamespace(source=SimpleNamespace(photos=SimpleNamespace(index=index), chip=chip))


def make_tested(pairs: PairProtocol) -> tuple[TestPairs, NDArray[np.float64]]:
    """Similarities around the threshold, in all kinds; log-odds rise with them and fall with degradation."""
    rng = np.random.default_rng(1)
    cases = [(CLEAN, -1), *((kind, seed) for kind in (ONE, BOTH) for seed in TEST_SEEDS)]
    count, times = len(pairs), len(cases)
    similarity = rng.uniform(0.2, 0.8, count * times)
    kind = np.repeat([kind for kind, _ in cases], count)
    evidence = Evidence(similarity, 100 * similarity, np.full((len(kind), 2), 0.1), np.ones((len(kind), 2)))
    log_odds = 20 * (similarity - 0.3) - np.where(kind == CLEAN, 0.0, rng.uniform(0, 6, len(kind)))
    tested = TestPairs(
        evidence,
        np.tile(pairs.same, times),
        np.tile(pairs.fold, times),
        np.tile(np.arange(count), times),
        kind,
        np.repeat([seed for _, seed in cases], count),
    )
    return tested, log_odds


class Case:
    """Examples, and which tested pair each of them is (similarities are unique)."""

    def __init__(self, count: int = COUNT) -> None:
        self.pairs = protocol()
        self.tested, self.log_odds = make_tested(self.pairs)
        self.bench = fake_bench(self.pairs)
        self.examples = striking_examples(self.bench, self.pairs, self.tested, self.log_odds, THRESHOLD, count)
        self.similarity = self.tested.evidence.similarity
        self.clean = self.similarity[: len(self.pairs)][self.tested.row]

    def number(self, example: Example) -> int:
        return int(np.flatnonzero(self.similarity == example.similarity)[0])

    def people(self, number: int) -> set[str]:
        row = self.tested.row[number]
        return {self.pairs.first_subject[row], self.pairs.second_subject[row]}

    def shortfall(self) -> NDArray[np.float64]:
        """How far the probability lies below that of a clean pair of that similarity, whose law is known here."""
        usual, p = (1 / (1 + np.exp(-odds)) for odds in (20 * (self.similarity - 0.3), self.log_odds))
        return np.asarray(usual - p)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


def test_pairs_of_two_people_that_are_accepted_only_as_degraded(case: Case) -> None:
    assert len(case.examples) == COUNT
    for wrong, _ in case.examples:
        number = case.number(wrong)
        assert case.tested.kind[number] in KINDS[1:]
        assert not case.tested.same[number]
        assert case.similarity[number] >= THRESHOLD > case.clean[number]
        assert wrong.clean == case.clean[number]
        assert wrong.names[0] != wrong.names[1]
    assert {case.tested.kind[case.number(wrong)] for wrong, _ in case.examples} == {ONE, BOTH}


def test_twins_are_clean_genuine_accepted_and_near(case: Case) -> None:
    for wrong, right in case.examples:
        number = case.number(right)
        assert case.tested.kind[number] == CLEAN
        assert case.tested.same[number]
        assert right.similarity == right.clean >= THRESHOLD
        assert right.names[0] == right.names[1]
        assert abs(right.similarity - wrong.similarity) < 0.03


def test_nobody_is_shown_twice(case: Case) -> None:
    shown = [case.people(case.number(example)) for pair in case.examples for example in pair]
    assert len(set().union(*shown)) == sum(len(people) for people in shown) == 3 * COUNT


def test_most_striking_first_and_none_is_passed_over(case: Case) -> None:
    """In the order of the shortfall; what is more striking than the last one shows somebody who was shown before."""
    short = case.shortfall()
    numbers = [case.number(wrong) for wrong, _ in case.examples]
    assert all(short[a] > short[b] - 0.02 for a, b in pairwise(numbers))
    fits = (case.tested.kind != CLEAN) & ~case.tested.same & (case.similarity >= THRESHOLD) & (case.clean < THRESHOLD)
    met = set().union(*(case.people(case.number(example)) for pair in case.examples for example in pair))
    better = [k for k in np.flatnonzero(fits) if short[k] > short[numbers[-1]] + 0.02 and k not in numbers]
    assert all(case.people(k) & met for k in better)


def test_the_conditions_have_something_to_exclude(case: Case) -> None:
    """Accepted when clean as well, or of one person, some would be more striking than what is shown."""
    short, last = case.shortfall(), case.shortfall()[case.number(case.examples[-1][0])]
    poor = (case.tested.kind != CLEAN) & (short > last + 0.02)
    accepted = case.similarity >= THRESHOLD
    assert (poor & accepted & ~case.tested.same & (case.clean >= THRESHOLD)).any()
    assert (poor & accepted & case.tested.same).any()
    assert (poor & ~accepted & ~case.tested.same).any()


def test_chips_and_figures_are_those_of_the_pair(case: Case) -> None:
    for example in (one for pair in case.examples for one in pair):
        number = case.number(example)
        row, kind, seed = (int(case.tested.row[number]), case.tested.kind[number], int(case.tested.seed[number]))
        seeds = {CLEAN: (0, 0), ONE: (0, seed), BOTH: (seed, seed)}[kind]
        ids = case.pairs.first[row], case.pairs.second[row]
        for chip, photo, expected in zip(example.chips, ids, seeds, strict=True):
            high, low, shown = (int(value) for value in chip[0, 0])
            assert (256 * high + low, shown) == (case.bench.source.photos.index[photo], expected)
        assert example.names == (case.pairs.first_subject[row], case.pairs.second_subject[row])
        assert example.confidence == pytest.approx(1 / (1 + np.exp(-case.log_odds[number])))


def test_fewer_are_the_first_of_more(case: Case) -> None:
    few = Case(3)
    assert [case.number(wrong) for wrong, _ in few.examples] == [case.number(wrong) for wrong, _ in case.examples[:3]]


def test_none_where_nothing_is_accepted(case: Case) -> None:
    assert striking_examples(case.bench, case.pairs, case.tested, case.log_odds, 0.99, COUNT) == []


def test_a_case_made_by_hand() -> None:
    """What falls furthest short comes first, not what is least probable; a twin is neither of the two people."""
    one = ("a", "b", "a", "c", "d", "e", "f")
    other = ("x", "y", *one[2:])
    similarity = np.array([0.4, 0.4, 0.8, 0.79, 0.51, 0.6, 0.1, 0.8, 0.52])  # seven clean pairs, two degraded
    p = np.array([0.2, 0.2, 0.98, 0.97, 0.4, 0.6, 0.05, 0.3, 0.25])
    row = np.array([*range(7), 0, 1])
    same = np.array([name == twin for name, twin in zip(one, other, strict=True)])
    ids = [tuple(f"{name}/{k}.{side}" for k, name in enumerate(names)) for side, names in ((1, one), (2, other))]
    pairs = PairProtocol(ids[0], ids[1], same, np.zeros(7, np.int64), one, other)
    evidence = Evidence(similarity, similarity, np.full((9, 2), 0.1), np.ones((9, 2)))
    kind, seed = np.array([CLEAN] * 7 + [ONE] * 2), np.array([-1] * 7 + [TEST_SEEDS[0]] * 2)
    tested = TestPairs(evidence, same[row], np.zeros(9, np.int64), row, kind, seed)
    found = striking_examples(fake_bench(pairs), pairs, tested, np.log(p / (1 - p)), THRESHOLD, 2)
    assert [(wrong.names, right.names) for wrong, right in found] == [
        (("a", "x"), ("c", "c")),  # 0.98 - 0.3; the nearest in similarity is a's own
        (("b", "y"), ("d", "d")),  # 0.42 - 0.25
    ]
