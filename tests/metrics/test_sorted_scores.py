"""Operating points by binary search against the full ROC of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceunc.metrics.sorted_scores import sort_scores
from faceunc.metrics.verification import roc

Pairs = tuple[NDArray[np.float32], NDArray[np.bool_]]


@st.composite
def tied_pairs(draw: st.DrawFn) -> Pairs:
    """Up to 30 scores of few values, both labels present."""
    labels = draw(st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda row: 0 < sum(row) < len(row)))
    values = draw(st.lists(st.integers(-4, 4), min_size=len(labels), max_size=len(labels)))
    return np.array(values, np.float32), np.array(labels)


@given(tied_pairs(), st.floats(0, 1))
def test_tar_at_far_is_the_best_row_of_the_roc(pairs: Pairs, target: float) -> None:
    scores, same = pairs
    far, tar, threshold = roc(scores, same)
    row = np.flatnonzero(np.rint(far * (~same).sum()) <= target * (~same).sum() * (1 + 1e-12))[-1]
    point = sort_scores(scores, same).tar_at_far(target)
    assert point.far == pytest.approx(far[row])
    assert point.tar == pytest.approx(tar[row])
    assert point.threshold == threshold[row]


@given(tied_pairs())
def test_equal_error_rate_is_where_the_roc_crosses(pairs: Pairs) -> None:
    scores, same = pairs
    far, tar, _ = roc(scores, same)
    gap = far - (1 - tar)
    crossing = np.interp(0.0, gap, far)  # gap rises along the ROC
    assert sort_scores(scores, same).equal_error_rate() == pytest.approx(crossing, abs=1e-12)


@given(tied_pairs())
def test_rates_and_curve_are_points_of_the_roc(pairs: Pairs) -> None:
    scores, same = pairs
    far, tar, threshold = roc(scores, same)
    ordered = sort_scores(scores, same)
    np.testing.assert_allclose(np.stack(ordered.rates(threshold)), np.stack([far, tar]))
    rows = set(zip(far.round(9).tolist(), tar.round(9).tolist(), strict=True))
    found = set(zip(*(part.round(9).tolist() for part in ordered.curve()), strict=True))
    assert found <= rows
    assert max(found)[0] == 1.0


def test_order_and_type_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, same = rng.integers(0, 50, 2000).astype(np.float64), rng.random(2000) < 0.3
    order = rng.permutation(2000)
    for other in (sort_scores(scores[order], same[order]), sort_scores(scores.astype(np.float32), same)):
        assert other.tar_at_far(0.03).tar == sort_scores(scores, same).tar_at_far(0.03).tar
        assert other.equal_error_rate() == pytest.approx(sort_scores(scores, same).equal_error_rate())


def test_a_float64_threshold_between_two_float32_scores() -> None:
    """It must not be rounded down onto the lower score."""
    ordered = sort_scores(np.float32([-2000.0001, -2000.0001]), [True, False])
    cut = float(ordered.genuine[0]) + 4e-5
    assert [float(rate) for rate in ordered.rates(cut)] == [0.0, 0.0]


@pytest.mark.parametrize("same", [[0, 1, np.nan], [0, 1, 2], [0, 0.3, 0.9]])
def test_labels_are_zero_and_one(same: list[float]) -> None:
    with pytest.raises(ValueError, match="same must be boolean"):
        sort_scores([0.1, 0.2, 0.3], same)


def test_scores_are_real() -> None:
    with pytest.raises(ValueError, match="real numbers"):
        sort_scores(np.array([1j, 2.0]), [True, False])


def test_neighbouring_float32_scores_are_told_apart() -> None:
    """At the magnitude of MLS a threshold plus 1e-8 is the threshold: the conservative cut must still hold."""
    low = np.float32(-2435.5)
    high = np.nextafter(low, np.float32(0))
    scores = np.array([high, low, low, low], np.float32)
    point = sort_scores(scores, [True, True, False, False]).tar_at_far(0.4)
    assert (point.tar, point.far, point.threshold) == (0.5, 0.0, float(high))
