"""Error versus discard against brute force: all orders of ties, and weighted counts in plain loops."""

from __future__ import annotations

import time
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from faceunc.metrics.rejection import (
    FIXED,
    RECHOSEN,
    edc_area,
    edc_fixed,
    edc_rechosen,
    oracle_quality,
    pair_quality,
    random_curve,
    retained_mean,
)
from faceunc.metrics.verification import tar_at_far

Floats = NDArray[np.float64]
small = st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 2)), min_size=1, max_size=6)
comparisons = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.integers(0, 3)), min_size=4, max_size=20)
targets = st.one_of(st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 1.0]), st.floats(0.0, 1.0))


def brute_retained(loss: list[int], quality: list[int]) -> list[float]:
    """The mean over all orders of the items that are ascending in quality."""
    n = len(loss)
    orders = [p for p in permutations(range(n)) if all(quality[p[i]] <= quality[p[i + 1]] for i in range(n - 1))]
    return [sum(sum(loss[i] for i in p[k:]) / (n - k) for p in orders) / len(orders) for k in range(n)]


@given(small)
@settings(max_examples=60, deadline=None)
def test_retained_mean_against_all_orders_of_ties(rows: list[tuple[int, int]]) -> None:
    loss, quality = [r[0] for r in rows], [r[1] for r in rows]
    assert retained_mean(loss, quality) == pytest.approx(brute_retained(loss, quality))


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 3)), min_size=1, max_size=30), st.integers(0, 99))
@settings(max_examples=60)
def test_retained_mean_does_not_depend_on_the_order(rows: list[tuple[float, int]], seed: int) -> None:
    loss, quality = np.array(rows).T
    order = np.random.default_rng(seed).permutation(len(loss))
    assert retained_mean(loss, quality).tolist() == retained_mean(loss[order], quality[order]).tolist()


def test_not_even_the_last_bit_depends_on_the_order() -> None:
    rng = np.random.default_rng(5)
    loss, quality = rng.random(200), rng.integers(0, 4, 200)
    for _ in range(20):
        order = rng.permutation(200)
        assert retained_mean(loss, quality).tolist() == retained_mean(loss[order], quality[order]).tolist()


def test_retained_mean_in_float32() -> None:
    loss, quality = np.random.default_rng(0).random((2, 50)).astype(np.float32)
    found = retained_mean(loss, quality)
    assert found.dtype == np.float64
    assert found.tolist() == retained_mean(loss.astype(np.float64), quality.astype(np.float64)).tolist()


def test_fixed_threshold_by_hand() -> None:
    curve = edc_fixed([5, 1, 2, 9], [3, 0, 2, 1], threshold=2)  # the only miss (score 1) has the lowest quality
    assert curve.name == FIXED
    assert curve.discarded.tolist() == [0, 0.25, 0.5, 0.75]
    assert curve.error.tolist() == [0.25, 0, 0, 0]
    assert curve.genuine.tolist() == [4, 3, 2, 1]
    assert (curve.impostors.tolist(), curve.threshold.tolist()) == ([0] * 4, [2] * 4)


def test_fixed_threshold_in_float32_is_the_score_itself() -> None:
    scores = np.array([0.1, 0.2, 0.3], np.float32)
    for threshold in (float(scores[1]), scores[1]):
        assert edc_fixed(scores, [1, 2, 3], threshold).error.tolist() == [1 / 3, 0, 0]
    assert (
        edc_fixed(scores, [1, 2, 3], 0.2 + 1e-8).error.tolist()
        == edc_fixed(scores.astype(np.float64), [1, 2, 3], 0.2 + 1e-8).error.tolist()
    )


def brute_rechosen(rows: list[tuple[int, bool, int]], target: float, share: float) -> tuple[float, float, float]:
    """(FNMR, genuine, impostors) by loops over qualities and thresholds."""
    weight, gone = [1.0] * len(rows), share * len(rows)
    for level in sorted({q for _, _, q in rows}):
        members = [i for i, row in enumerate(rows) if row[2] == level]
        part = min(1.0, gone / len(members))
        gone -= part * len(members)
        for i in members:
            weight[i] = 1.0 - part
    count = {y: sum(w for w, row in zip(weight, rows, strict=True) if row[1] == y) for y in (True, False)}
    best = 0.0
    for threshold in {row[0] for row in rows}:
        accepted = {
            y: sum(w for w, r in zip(weight, rows, strict=True) if r[1] == y and r[0] >= threshold) for y in count
        }
        if accepted[False] <= target * count[False] + 1e-10:
            best = max(best, accepted[True])
    return 1 - best / count[True], count[True], count[False]


def columns(rows: list[tuple[int, bool, int]]) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Scores, labels and qualities; the best quality has a genuine and an impostor comparison."""
    rows[:2] = [(rows[0][0], True, 3), (rows[1][0], False, 3)]
    scores, same, quality = (np.array(column) for column in zip(*rows, strict=True))
    return scores.astype(np.float64), same.astype(bool), quality.astype(np.float64)


@given(comparisons, targets, st.lists(st.floats(0, 0.9), min_size=1, max_size=4, unique=True))
@settings(max_examples=100, deadline=None)
def test_rechosen_threshold_against_brute_force(
    rows: list[tuple[int, bool, int]], target: float, fractions: list[float]
) -> None:
    scores, same, quality = columns(rows)
    curve = edc_rechosen(scores, same, quality, target, sorted(fractions))
    assert curve.name == RECHOSEN
    assert (curve.far <= target * (1 + 1e-9)).all()
    for k, share in enumerate(sorted(fractions)):
        found = (curve.error[k], curve.genuine[k], curve.impostors[k])
        assert found == pytest.approx(brute_rechosen(rows, target, share), abs=1e-9)
        assert curve.genuine[k] + curve.impostors[k] == pytest.approx((1 - share) * len(rows))


@given(comparisons, targets, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_rechosen_threshold_does_not_depend_on_the_order(
    rows: list[tuple[int, bool, int]], target: float, seed: int
) -> None:
    scores, same, quality = columns(rows)
    order = np.random.default_rng(seed).permutation(len(rows))
    one = edc_rechosen(scores, same, quality, target, [0, 0.1, 0.3])
    two = edc_rechosen(scores[order], same[order], quality[order], target, [0, 0.1, 0.3])
    for name in ("error", "genuine", "impostors", "threshold", "far"):
        assert getattr(one, name).tolist() == getattr(two, name).tolist()
    whole = tar_at_far(scores, same, target)
    assert one.error[0] == pytest.approx(1 - whole.tar)
    assert (one.far[0], one.threshold[0]) == (whole.far, whole.threshold)


def test_the_threshold_is_a_score_that_remains_and_the_target_is_met_exactly() -> None:
    curve = edc_rechosen([5, 3, 2, 1], [1, 1, 0, 0], [3, 0, 2, 1], 0.0, [0, 0.25])
    assert curve.threshold.tolist() == [3, 5]  # the comparison with score 3 went first
    scores, same = np.append(np.arange(100.0), 0.0), np.arange(101) == 100
    curve = edc_rechosen(scores, same, np.ones(101), 0.29, [0.0])  # .29 * 100 is 28.999999999999996
    assert (curve.far[0], curve.threshold[0]) == (0.29, 71)


def many(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]:
    """Scores of MLS's magnitude, labels, qualities with ties; a poor quality spoils the genuine scores."""
    rng = np.random.default_rng(seed)
    same, quality = rng.random(n) < 0.5, rng.integers(0, n // 20, n)
    scores = 1500 + 10 * rng.standard_normal(n) + same * (10 + 40 * quality / quality.max())
    return scores.astype(np.float32), same, quality.astype(np.float32)


def test_rechosen_threshold_against_scikit_learn_and_in_float32() -> None:
    scores, same, quality = many(3000)
    fractions = np.arange(10) / 20
    curve = edc_rechosen(scores, same, quality, 1e-2, fractions)
    double = edc_rechosen(scores.astype(np.float64), same, quality.astype(np.float64), 1e-2, fractions)
    assert curve.error.tolist() == double.error.tolist()
    ranks = np.sort(quality)
    for k, share in enumerate(fractions):
        cut = ranks[round(share * 3000)]
        below, at = (quality < cut).sum(), (quality == cut).sum()
        weight = np.where(quality < cut, 0.0, np.where(quality == cut, 1 - (share * 3000 - below) / at, 1.0))
        far, tar, _ = roc_curve(same, scores, sample_weight=weight, drop_intermediate=False)
        assert curve.error[k] == pytest.approx(1 - tar[far <= 1e-2 + 1e-12].max())


def test_thousands_of_pairs_in_a_moment() -> None:
    scores, same, quality = many(6000)
    start = time.perf_counter()
    edc_rechosen(scores, same, quality, 1e-3, np.arange(50) / 100)
    assert time.perf_counter() - start < 2


def test_a_quality_that_tells_nothing_has_area_one_and_the_oracle_less() -> None:
    scores, same, quality = many(2000)
    genuine = scores[same]
    threshold = float(np.quantile(genuine, 0.1))
    nothing = edc_fixed(genuine, np.zeros(len(genuine)), threshold)
    real = edc_fixed(genuine, quality[same], threshold)
    oracle = edc_fixed(genuine, oracle_quality(genuine < threshold), threshold)
    worst = edc_fixed(genuine, -oracle_quality(genuine < threshold), threshold)
    assert edc_area(nothing) == pytest.approx(1.0)
    assert edc_area(random_curve(real)) == pytest.approx(1.0)
    assert 0 < edc_area(oracle) < edc_area(real) < 1 < edc_area(worst)
    assert edc_area(oracle) == pytest.approx(0.1 / 2 / 0.2, abs=0.02)  # nearly a triangle
    assert (oracle.error <= real.error + 1e-12).all()
    constant = edc_rechosen(scores, same, np.zeros(len(scores)), 1e-2, np.arange(30) / 100)
    chance = random_curve(constant)
    assert edc_area(constant) == pytest.approx(1.0)
    for name in ("error", "genuine", "impostors", "far", "threshold"):
        assert getattr(chance, name) == pytest.approx(getattr(constant, name))
    assert chance.name == "random: " + RECHOSEN


@given(st.lists(st.booleans(), min_size=6, max_size=20), st.floats(0.05, 0.8))
@settings(max_examples=40)
def test_area_against_many_small_steps(misses: list[bool], limit: float) -> None:
    misses[0] = True
    curve = edc_fixed([0 if m else 1 for m in misses], np.arange(len(misses)) % 4, 0.5)
    grid = (np.arange(20000) + 0.5) / 20000 * limit
    expected = np.interp(grid, curve.discarded, curve.error).mean() / curve.error[0]
    assert edc_area(curve, limit) == pytest.approx(expected, rel=1e-4)


def test_area_refuses_what_it_cannot_compare() -> None:
    curve = edc_fixed([1, 2, 3, 4], [1, 2, 3, 4], 2)
    with pytest.raises(ValueError, match=r"reach the limit 0\.9"):
        edc_area(curve, 0.9)
    with pytest.raises(ValueError, match="above 0"):
        edc_area(edc_fixed([1, 2, 3, 4], [1, 2, 3, 4], 0))
    with pytest.raises(ValueError, match="start at 0"):
        edc_area(edc_rechosen([1, 2, 3], [1, 0, 1], [1, 2, 3], 0.1, [0.1, 0.3]))
    for limit in (0.0, 1.0, np.nan):
        with pytest.raises(ValueError, match="limit"):
            edc_area(curve, limit)


def test_pair_quality() -> None:
    assert pair_quality([1, 4], [3, 2]).tolist() == [1, 2]
    assert pair_quality([1, 4], [3, 2], "mean").tolist() == [2, 3]
    assert pair_quality([1, 4], [3, 2], "product").tolist() == [3, 8]
    assert pair_quality([-1, 4], [3, 2]).tolist() == [-1, 2]
    with pytest.raises(ValueError, match="non-negative"):
        pair_quality([-1, 4], [3, 2], "product")
    with pytest.raises(ValueError, match="how must be"):
        pair_quality([1], [2], "max")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "quality", "message"),
    [
        ([], [], "n >= 1"),
        ([1, 2], [1], "one length"),
        ([[1, 2]], [[1, 2]], "must be"),
        ([1, np.nan], [1, 2], "loss must be finite. Got 1"),
        ([1, 2], [1, np.inf], "quality must be finite. Got 1"),
    ],
)
def test_unusable_columns(loss: list[float], quality: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retained_mean(loss, quality)
    with pytest.raises(ValueError, match=message.replace("loss", "genuine_scores")):
        edc_fixed(loss, quality, 0.5)
    with pytest.raises(ValueError, match=message.replace("loss", "scores")):
        edc_rechosen(loss, [True, False], quality, 0.1, [0])


@pytest.mark.parametrize(
    ("same", "target", "fractions", "message"),
    [
        ([1, 1, 1], 0.1, [0], "both classes"),
        ([0, 0, 0], 0.1, [0], "both classes"),
        ([0, 1], 0.1, [0], "same must be"),
        ([0, 1, 2], 0.1, [0], "boolean"),
        ([0, 1, 1], 1.1, [0], "target_far"),
        ([0, 1, 1], np.nan, [0], "target_far"),
        ([0, 1, 1], 0.1, [], "fractions"),
        ([0, 1, 1], 0.1, [-0.1], "fractions"),
        ([0, 1, 1], 0.1, [0, 1], "fractions"),
        ([0, 1, 1], 0.1, [0, 0.2, 0.1], "fractions"),
        ([0, 1, 1], 0.1, [0, 0.5], "both kinds must remain"),
    ],
)
def test_unusable_rechosen(same: list[int], target: float, fractions: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edc_rechosen([1, 2, 3], same, [1, 2, 3], target, fractions)


def test_threshold_must_be_a_number() -> None:
    with pytest.raises(ValueError, match="threshold"):
        edc_fixed([1, 2], [1, 2], np.nan)
