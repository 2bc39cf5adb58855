"""The order of a review."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.recipes.review import error_probability, review_order, review_photos


def test_the_likeliest_error_comes_first() -> None:
    probability, accepted = [0.9, 0.2, 0.6, 0.01], [True, True, False, False]
    np.testing.assert_allclose(error_probability(probability, accepted), [0.1, 0.8, 0.6, 0.01])
    assert review_order(probability, accepted).tolist() == [1, 2, 0, 3]
    assert review_order([0.5, 0.5, 0.5], [True, False, True]).tolist() == [0, 1, 2]


def test_calibrated_probabilities_find_as_many_errors_as_they_promise() -> None:
    rng = np.random.default_rng(0)
    probability = rng.uniform(size=20_000)
    same, accepted = rng.uniform(size=20_000) < probability, rng.uniform(size=20_000) < 0.5
    order = review_order(probability, accepted)
    wrong = (same != accepted)[order]
    promised = error_probability(probability, accepted)[order]
    assert wrong[:2000].sum() == pytest.approx(promised[:2000].sum(), rel=0.03)
    assert wrong[:2000].mean() > 1.8 * wrong.mean()


def test_photographs_behind_the_most_expected_errors() -> None:
    order, burden = review_photos([0.8, 0.4, 0.2], np.array([0, 0, 2]), np.array([1, 3, 3]))
    np.testing.assert_allclose(burden, [0.6, 0.4, 0.1, 0.3])
    assert order.tolist() == [0, 1, 3, 2]
    assert burden.sum() == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("probability", "accepted", "message"),
    [
        ([0.5], [True, False], "accepted must be"),
        ([0.5, 1.2], [True, False], "greatest probability must be in"),
        ([-0.1, 0.2], [True, False], "least probability must be in"),
        ([0.5, np.nan], [True, False], "finite"),
        ([0.5, 0.2], [0.3, 1], "accepted must be boolean"),
    ],
)
def test_unusable_probabilities(probability: list[float], accepted: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        review_order(probability, accepted)  # type: ignore[arg-type]


def test_photographs_must_be_positions() -> None:
    for first in ([0.5, 1.0], [-1, 0], [0]):
        with pytest.raises(ValueError, match="numbers from 0"):
            review_photos([0.5, 0.1], first, [0, 1])
