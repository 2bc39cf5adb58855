"""Risk and coverage against all orders of ties."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from faceunc.metrics.selective import augrc, aurc, coverage_at_risk, risk_at_coverage, risk_coverage

small = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=6)
METRICS = (aurc, augrc, lambda a, b: coverage_at_risk(a, b, 0.4), lambda a, b: risk_at_coverage(a, b, 0.4))


def brute_curve(loss: list[int], confidence: list[int]) -> list[float]:
    """The mean risk over all orders that are descending in confidence, for 1 ... n items accepted."""
    n = len(loss)
    orders = [p for p in permutations(range(n)) if all(confidence[p[i]] >= confidence[p[i + 1]] for i in range(n - 1))]
    return [sum(sum(loss[i] for i in p[:k]) / k for p in orders) / len(orders) for k in range(1, n + 1)]


@given(small, st.floats(0, 3), st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_all_against_all_orders_of_ties(rows: list[tuple[int, int]], risk: float, coverage: float) -> None:
    loss, confidence = [r[0] for r in rows], [r[1] for r in rows]
    n, expected = len(rows), brute_curve(loss, confidence)
    curve = risk_coverage(loss, confidence)
    assert curve.coverage == pytest.approx([(k + 1) / n for k in range(n)])
    assert curve.risk == pytest.approx(expected)
    assert aurc(loss, confidence) == pytest.approx(sum(expected) / n)
    heights = [0.0] + [expected[k] * (k + 1) / n for k in range(n)]
    assert augrc(loss, confidence) == pytest.approx(sum((heights[k] + heights[k + 1]) / 2 / n for k in range(n)))
    permitted = [(k + 1) / n for k in range(n) if expected[k] <= risk + 1e-10]
    assert coverage_at_risk(loss, confidence, risk) == pytest.approx(max(permitted, default=0.0))
    accepted = next(k for k in range(1, n + 1) if k / n >= coverage - 1e-9)
    assert risk_at_coverage(loss, confidence, coverage) == pytest.approx(expected[accepted - 1])


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
@settings(max_examples=80)
def test_augrc_is_a_function_of_auroc_and_the_error_rate(rows: list[tuple[bool, int]]) -> None:
    wrong, confidence = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    wrong[:2] = [True, False]
    e = wrong.mean()
    expected = e * (1 - e) * (1 - roc_auc_score(~wrong, confidence)) + e**2 / 2
    assert augrc(wrong, confidence) == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 99))
@settings(max_examples=60)
def test_order_does_not_matter(rows: list[tuple[float, int]], seed: int) -> None:
    loss, confidence = np.array(rows).T
    order = np.random.default_rng(seed).permutation(len(rows))
    for metric in METRICS:
        assert metric(loss, confidence) == metric(loss[order], confidence[order])


def test_float32_agrees() -> None:
    loss, confidence = np.random.default_rng(0).random((2, 60)).astype(np.float32)
    for metric in METRICS:
        assert metric(loss, confidence) == metric(loss.astype(np.float64), confidence.astype(np.float64))


def test_all_ties_give_the_mean() -> None:
    loss = [0, 1, 0, 1]
    assert risk_coverage(loss, np.zeros(4)).risk.tolist() == [0.5] * 4
    assert (aurc(loss, np.zeros(4)), augrc(loss, np.zeros(4))) == (0.5, 0.25)
    assert coverage_at_risk(loss, np.zeros(4), 0.49) == 0.0
    assert coverage_at_risk(loss, np.zeros(4), 0.5) == 1.0


def test_coverage_at_risk_takes_the_largest_although_a_smaller_one_exceeds_it() -> None:
    loss = [1, 0, 0, 0, 1]
    assert coverage_at_risk(loss, [5, 4, 3, 2, 1], 0.25) == 0.8
    assert coverage_at_risk(loss, [5, 4, 3, 2, 1], 0.0) == 0.0
    assert risk_at_coverage(loss, [5, 4, 3, 2, 1], 0.0) == 1.0
    assert risk_at_coverage(loss, [5, 4, 3, 2, 1], 0.6) == pytest.approx(1 / 3)


def test_rounding_does_not_cost_a_coverage() -> None:
    assert coverage_at_risk([0.1, 0.1, 0.1], [3, 2, 1], 0.1) == 1.0  # (.1 + .1 + .1) / 3 exceeds .1 by one bit
    assert risk_at_coverage(np.arange(100) == 7, -np.arange(100), 0.07) == 0.0  # .07 * 100 is 7.000000000000001


@pytest.mark.parametrize(
    ("loss", "confidence", "message"),
    [
        ([], [], "n >= 1"),
        ([1, 0], [1], "one length"),
        ([[1]], [[1]], "must be"),
        ([np.nan, 1], [1, 2], "loss must be finite"),
        ([0, 1], [np.inf, 2], "confidence must be finite"),
    ],
)
def test_unusable_input(loss: list[float], confidence: list[float], message: str) -> None:
    for metric in (risk_coverage, *METRICS):
        with pytest.raises(ValueError, match=message):
            metric(loss, confidence)


def test_targets_outside_their_range() -> None:
    for coverage in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="coverage must be"):
            risk_at_coverage([0, 1], [1, 2], coverage)
    with pytest.raises(ValueError, match="risk must be"):
        coverage_at_risk([0, 1], [1, 2], np.nan)
