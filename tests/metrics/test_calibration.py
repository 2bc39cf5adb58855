"""Calibration against plain loops and scikit-learn's calibration curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from faceunc.metrics.calibration import Equal, brier, expected_calibration_error, nll, reliability

Rows = list[tuple[float, bool]]
chances = st.one_of(st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1))
items = st.lists(st.tuples(chances, st.booleans()), min_size=1, max_size=25)
kinds = st.sampled_from(["width", "mass"])


def brute_bins(p: list[float], bins: int, equal: str) -> list[int]:
    """The bin of each item, by a loop."""
    if equal == "width":
        edges = np.linspace(0, 1, bins + 1)
        return [next((b for b in range(bins) if value <= edges[b + 1]), bins - 1) for value in p]
    middle = [sum(q < value for q in p) + sum(q == value for q in p) / 2 for value in p]
    return [math.floor(bins * m / len(p) + 1e-12) for m in middle]


@given(items, st.integers(1, 12), kinds)
@settings(max_examples=150, deadline=None)
def test_against_plain_loops(rows: Rows, bins: int, equal: Equal) -> None:
    p, y = [r[0] for r in rows], [r[1] for r in rows]
    number = brute_bins(p, bins, equal)
    expected, found, row = 0.0, reliability(p, y, bins, equal), 0
    for b in range(bins):
        members = [i for i in range(len(p)) if number[i] == b]
        if members:
            mean, share = sum(p[i] for i in members) / len(members), sum(y[i] for i in members) / len(members)
            assert (found.count[row], found.probability[row]) == (len(members), pytest.approx(mean))
            assert found.observed[row] == pytest.approx(share)
            expected, row = expected + abs(mean - share) * len(members) / len(p), row + 1
    assert row == len(found.count)
    assert expected_calibration_error(p, y, bins, equal) == pytest.approx(expected)
    assert brier(p, y) == pytest.approx(sum((a - b) ** 2 for a, b in rows) / len(p))
    clipped = [min(max(a, 2**-52), 1 - 2**-52) for a in p]
    assert nll(p, y) == pytest.approx(
        -sum(math.log(a if b else 1 - a) for a, b in zip(clipped, y, strict=True)) / len(p)
    )


def test_width_bins_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.random(500), 2)
    y = rng.random(500) < p
    for bins in (5, 10, 15):
        observed, probability = calibration_curve(y, p, n_bins=bins, strategy="uniform")
        found = reliability(p, y, bins)
        assert found.observed == pytest.approx(observed)
        assert found.probability == pytest.approx(probability)


@given(items, st.integers(1, 12), kinds, st.integers(0, 99))
@settings(max_examples=80)
def test_order_does_not_matter(rows: Rows, bins: int, equal: Equal, seed: int) -> None:
    p, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    order = np.random.default_rng(seed).permutation(len(p))
    one, two = (expected_calibration_error(p[o], y[o], bins, equal) for o in (np.arange(len(p)), order))
    assert one == two
    assert brier(p, y) == pytest.approx(brier(p[order], y[order]))
    assert nll(p, y) == pytest.approx(nll(p[order], y[order]))


@pytest.mark.parametrize("n", [7, 30, 31])
def test_bins_of_equal_mass_differ_by_one_item_at_most(n: int) -> None:
    p = np.random.default_rng(1).permutation(n) / n
    count = reliability(p, p > 0.5, 5, "mass").count
    assert len(count) == 5
    assert count.max() - count.min() <= 1


def test_ties_share_a_bin_of_equal_mass() -> None:
    found = reliability([0.1, 0.2, 0.2, 0.2, 0.2, 0.9], [0, 1, 0, 0, 0, 1], 3, "mass")
    assert found.count.tolist() == [1, 4, 1]
    assert reliability(np.full(9, 0.4), [1, 0, 0] * 3, 3, "mass").count.tolist() == [9]


def test_float32_agrees() -> None:
    rng = np.random.default_rng(2)
    p, y = rng.random(200).astype(np.float32), rng.random(200) < 0.5
    for metric in (brier, nll, expected_calibration_error, lambda a, b: expected_calibration_error(a, b, equal="mass")):
        assert metric(p, y) == metric(p.astype(np.float64), y)
    assert nll(np.array([0, 1], np.float32), [1, 1]) == pytest.approx(52 * math.log(2) / 2)


def test_calibrated_and_certain() -> None:
    assert expected_calibration_error([0.25] * 4, [1, 0, 0, 0]) == 0.0
    assert expected_calibration_error([1.0, 1.0], [0, 0]) == 1.0  # one class alone is fine
    assert (brier([1.0, 0.0], [1, 0]), brier([1.0, 1.0], [0, 0])) == (0.0, 1.0)
    assert nll([0.5], [True]) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("p", "y", "message"),
    [
        ([], [], "n >= 1"),
        ([[0.5]], [[1]], "must be"),
        ([0.5, 0.5], [1], "outcome must be"),
        ([0.5, np.nan], [1, 0], "finite"),
        ([0.5, 1.01], [1, 0], r"in \[0, 1\]"),
        ([-0.01, 0.5], [1, 0], r"in \[0, 1\]"),
        ([0.5, 0.5], [1, 2], "boolean"),
        ([0.5, 0.5], [1, np.nan], "boolean"),
    ],
)
def test_unusable_input(p: list[float], y: list[float], message: str) -> None:
    for metric in (brier, nll, expected_calibration_error, reliability):
        with pytest.raises(ValueError, match=message):
            metric(p, y)


def test_unusable_bins() -> None:
    with pytest.raises(ValueError, match="bins"):
        reliability([0.5], [1], 0)
    with pytest.raises(ValueError, match="equal"):
        reliability([0.5], [1], 3, "size")  # type: ignore[arg-type]
