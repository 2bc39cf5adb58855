"""Intervals and CRPS against their definitions, and the CRPS against a numerical integral."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from faceunc.metrics.intervals import crps_normal, interval_coverage, interval_score

triples = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 3), st.integers(-5, 5)), min_size=1, max_size=12)


@given(triples, st.sampled_from([0.5, 0.9, 0.99]), st.integers(0, 99))
@settings(max_examples=80)
def test_intervals_against_plain_loops(rows: list[tuple[int, int, int]], level: float, seed: int) -> None:
    lower, upper, truth = (np.array(c) for c in zip(*((a, a + w, t) for a, w, t in rows), strict=True))
    covered, total = 0, 0.0
    for low, high, actual in zip(lower, upper, truth, strict=True):
        covered += low <= actual <= high
        total += high - low + 2 / (1 - level) * (max(low - actual, 0) + max(actual - high, 0))
    assert interval_coverage(lower, upper, truth) == pytest.approx(covered / len(rows))
    assert interval_score(lower, upper, truth, level) == pytest.approx(total / len(rows))
    order = np.random.default_rng(seed).permutation(len(rows))
    assert interval_score(lower[order], upper[order], truth[order], level) == pytest.approx(total / len(rows))


@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(0.2, 3), st.floats(-5, 5)), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_crps_is_the_integral_of_the_squared_difference_of_distributions(
    rows: list[tuple[float, float, float]],
) -> None:
    mean, sigma, truth = (np.array(c) for c in zip(*rows, strict=True))
    total = 0.0
    for m, s, t in rows:
        below = quad(lambda x, m=m, s=s: norm.cdf(x, m, s) ** 2, min(t, m) - 12 * s, t)[0]
        above = quad(lambda x, m=m, s=s: norm.sf(x, m, s) ** 2, t, max(t, m) + 12 * s)[0]
        total += below + above
    assert crps_normal(mean, sigma, truth) == pytest.approx(total / len(rows), rel=1e-4, abs=1e-7)


def test_the_right_predictions_score_best_and_cover_what_they_say() -> None:
    rng = np.random.default_rng(0)
    sigma = rng.uniform(0.5, 2, 20000)
    truth, mean = sigma * rng.standard_normal(20000), np.zeros(20000)
    scores = [crps_normal(mean, k * sigma, truth) for k in (0.6, 1.0, 1.6)]
    assert min(scores) == scores[1]
    half = norm.ppf(0.95) * sigma
    assert interval_coverage(-half, half, truth) == pytest.approx(0.9, abs=0.01)
    winkler = [interval_score(-k * half, k * half, truth, 0.9) for k in (0.6, 1.0, 1.6)]
    assert min(winkler) == winkler[1]


def test_float32_agrees_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    one, two, truth = (rng.random((3, 100)) + np.array([[0], [1], [0.5]])).astype(np.float32)
    order = rng.permutation(100)
    for metric in (interval_coverage, lambda a, b, c: interval_score(a, b, c, 0.9), crps_normal):
        double = metric(*(x.astype(np.float64) for x in (one, two, truth)))
        assert metric(one, two, truth) == double
        assert metric(one[order], two[order], truth[order]) == pytest.approx(double)


@pytest.mark.parametrize(
    ("first", "second", "truth", "message"),
    [
        ([], [], [], "n >= 1"),
        ([0, 0], [1, 1], [1], "one length"),
        ([[0]], [[1]], [[1]], "must be"),
        ([0, np.nan], [1, 1], [1, 1], "finite"),
        ([0, 0], [1, 1], [1, np.inf], "truth must be finite"),
    ],
)
def test_unusable_input(first: list[float], second: list[float], truth: list[float], message: str) -> None:
    for metric in (interval_coverage, lambda a, b, c: interval_score(a, b, c, 0.9), crps_normal):
        with pytest.raises(ValueError, match=message):
            metric(first, second, truth)


def test_out_of_range() -> None:
    for sigma in (0.0, -1.0):
        with pytest.raises(ValueError, match="sigma must be above 0"):
            crps_normal([0, 0], [1, sigma], [0, 0])
    with pytest.raises(ValueError, match="lower must not exceed"):
        interval_coverage([0, 2], [1, 1], [0, 0])
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="level"):
            interval_score([0], [1], [0], level)
