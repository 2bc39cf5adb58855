"""Bounds against scipy and brute force; promises against repeated draws from a known population."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from faceunc.confidence import error_bound, fmr_threshold, fnmr_threshold, needed
from faceunc.confidence.dependence import Dependence


@pytest.mark.parametrize(("errors", "count"), [(0, 10), (1, 100), (7, 1000), (99, 100), (100, 100)])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_bound_is_clopper_pearson(errors: int, count: int, confidence: float) -> None:
    oracle = binomtest(errors, count, alternative="less").proportion_ci(confidence, method="exact").high
    assert error_bound(errors, count, confidence) == pytest.approx(oracle, rel=1e-9)


def test_needed_is_the_least_number_that_can_promise() -> None:
    for target in (0.1, 1e-2, 1e-3):
        count = needed(target)
        assert error_bound(0, count) <= target < error_bound(0, count - 1)


def brute_effect(wrong: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The sum over all pairs of comparisons with a person in common."""
    residual = wrong - wrong.mean()
    total = 0.0
    for i in range(len(wrong)):
        for j in range(len(wrong)):
            if {first[i], second[i]} & {first[j], second[j]}:
                total += residual[i] * residual[j]
    pairs = len({frozenset(pair) for pair in zip(first, second, strict=True)})
    return max(len(wrong) / pairs, total / (len(wrong) * wrong.mean() * (1 - wrong.mean())))


@pytest.mark.parametrize("seed", range(6))
def test_design_effect_is_the_brute_force_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 8, 120), rng.integers(0, 8, 120)  # twins and genuine comparisons among them
    wrong = rng.uniform(size=8)[first] + rng.uniform(size=8)[second] > 1.1
    assert Dependence(first, second).effect(wrong) == pytest.approx(brute_effect(wrong, first, second))


def test_independent_comparisons_are_worth_their_number() -> None:
    rng = np.random.default_rng(0)
    people = np.arange(20_000)
    effect = Dependence(people[::2], people[1::2]).effect(rng.uniform(size=10_000) < 0.05)
    assert effect == pytest.approx(1.0, abs=1e-6)


def test_copies_are_worth_one() -> None:
    first, second = np.repeat(np.arange(0, 2000, 2), 5), np.repeat(np.arange(1, 2000, 2), 5)
    wrong = np.repeat(np.random.default_rng(0).uniform(size=1000) < 0.1, 5)
    assert Dependence(first, second).effect(wrong) == pytest.approx(5.0)


def test_promise_for_the_population_is_kept() -> None:
    """Independent scores: the true FMR is above the target in at most 5% of the draws, and not far below it."""
    rng, target, above, rates = np.random.default_rng(1), 0.02, 0, []
    people = np.arange(4000)
    for _ in range(300):
        found = fmr_threshold(rng.normal(size=2000), people[::2], people[1::2], target)
        rates.append(norm.sf(found.threshold))
        above += rates[-1] > target
    assert above <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)
    assert np.mean(rates) > 0.5 * target


def test_promise_for_what_comes_next_is_kept() -> None:
    rng, target, above = np.random.default_rng(2), 0.02, 0
    people = np.arange(4000)
    for _ in range(300):
        found = fmr_threshold(rng.normal(size=2000), people[::2], people[1::2], target, future=1000)
        above += (rng.normal(size=1000) >= found.threshold).mean() > target
    assert above <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_promise_is_kept_where_people_matter() -> None:
    """Lambs and wolves: scores with an effect of each person. Counting comparisons as independent fails here."""
    rng, target, fails = np.random.default_rng(3), 0.05, {"counted": 0, "ignored": 0}
    for _ in range(60):
        effect = rng.normal(size=200)
        first, second = np.triu_indices(200, 1)
        scores = effect[first] + effect[second] + rng.normal(size=len(first))
        unique = np.arange(2 * len(first))
        for name, pair in (("counted", (first, second)), ("ignored", (unique[::2], unique[1::2]))):
            found = fmr_threshold(scores, *pair, target)
            fails[name] += norm.sf(found.threshold / np.sqrt(3)) > target
    assert fails["counted"] <= 0.05 * 60 + 3 * np.sqrt(60 * 0.05 * 0.95)
    assert fails["ignored"] > 0.2 * 60


def test_threshold_accepts_what_the_promise_says() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=5000).round(2)  # ties
    people = np.arange(10_000)
    found = fmr_threshold(scores, people[::2], people[1::2], 0.03)
    assert (scores >= found.threshold).mean() == pytest.approx(found.observed)
    assert found.bound <= 0.03
    assert found.bound == pytest.approx(error_bound(found.observed * 5000, 5000), rel=0.02)


def test_fnmr_is_the_mirror_image() -> None:
    rng = np.random.default_rng(5)
    scores, people = rng.normal(size=3000), np.arange(6000)
    accept = fmr_threshold(scores, people[:3000], people[:3000], 0.05)
    reject = fnmr_threshold(-scores, people[:3000], 0.05)
    assert (-scores < reject.threshold).mean() == pytest.approx(reject.observed) == pytest.approx(accept.observed)
    assert reject.bound == pytest.approx(accept.bound)


def test_too_few_says_what_would_do() -> None:
    with pytest.raises(ValueError, match="it takes 2995 independent ones"):
        fmr_threshold(np.zeros(100), np.arange(100), np.arange(100, 200), 1e-3)


def test_weak_promises_say_so() -> None:
    rng = np.random.default_rng(6)
    first, second = np.triu_indices(20, 1)
    notes = " ".join(fmr_threshold(rng.normal(size=190), first, second, 0.05).warnings)
    assert "only 20 people" in notes
    assert "errors stand behind" in notes
