"""1:1 metrics against brute-force loops, with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceunc.metrics.verification import best_threshold, equal_error_rate, kfold_accuracy, roc, tar_at_far

Pairs = tuple[NDArray[np.float32], NDArray[np.bool_]]


@st.composite
def tied_pairs(draw: st.DrawFn) -> Pairs:
    """Scores of MLS's magnitude in float32 with many ties; neighbours differ by one unit in the last place."""
    rows = draw(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=25))
    steps, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    labels[:2] = [True, False]
    base = np.float32(draw(st.sampled_from([0.0, -1500.0, 1800.0])))
    return (base + steps * np.spacing(np.float32(max(abs(base), 1.0)))).astype(np.float32), labels


targets = st.one_of(st.sampled_from([0.0, 1e-3, 0.1, 0.3, 0.5, 1.0]), st.floats(0.0, 1.0))


def brute_tar(scores: NDArray[np.float32], same: NDArray[np.bool_], target: float) -> tuple[int, int]:
    """(genuine accepted, false accepts) at the best permitted threshold of all."""
    best = (0, 0)
    for threshold in scores:
        accepted = scores >= threshold
        true, false = int((accepted & same).sum()), int((accepted & ~same).sum())
        if false <= target * int((~same).sum()) * (1 + 1e-12):
            best = max(best, (true, false))
    return best


@given(tied_pairs(), targets)
def test_tar_at_far_against_brute_force(pairs: Pairs, target: float) -> None:
    scores, same = pairs
    found = tar_at_far(scores, same, target)
    true, false = brute_tar(scores, same, target)
    assert found.tar == pytest.approx(true / same.sum())
    assert found.false_accepts == false
    assert found.far == pytest.approx(false / (~same).sum())
    assert found.far <= target * (1 + 1e-12)
    assert (found.genuine, found.impostors) == (same.sum(), (~same).sum())
    accepted = scores >= found.threshold
    assert (accepted & same).sum() == true
    assert (accepted & ~same).sum() == false


@given(tied_pairs(), targets, st.integers(0, 1000))
def test_order_does_not_matter(pairs: Pairs, target: float, seed: int) -> None:
    scores, same = pairs
    order = np.random.default_rng(seed).permutation(len(scores))
    assert tar_at_far(scores, same, target) == tar_at_far(scores[order], same[order], target)
    assert equal_error_rate(scores, same) == equal_error_rate(scores[order], same[order])
    assert best_threshold(scores, same) == best_threshold(scores[order], same[order])


def test_target_zero_and_one() -> None:
    scores, same = np.array([5.0, 4.0, 3.0, 2.0, 1.0]), np.array([1, 1, 0, 1, 0])
    none, everything = tar_at_far(scores, same, 0.0), tar_at_far(scores, same, 1.0)
    assert (none.tar, none.far, none.threshold) == (pytest.approx(2 / 3), 0.0, 4.0)
    assert (everything.tar, everything.far, everything.false_accepts) == (1.0, 1.0, 2)


def test_nothing_may_be_accepted_when_an_impostor_ties_with_the_best() -> None:
    found = tar_at_far([1.0, 1.0, 0.0], [True, False, True], 0.0)
    assert (found.tar, found.false_accepts, found.threshold) == (0.0, 0, np.inf)


def test_reliable_from_ten_impostors_behind_the_target() -> None:
    same = np.arange(3010) < 10
    scores = np.linspace(1, 0, 3010)
    assert tar_at_far(scores, same, 1e-2).reliable
    assert not tar_at_far(scores, same, 1e-3).reliable


@given(tied_pairs())
def test_roc_has_a_row_per_distinct_score(pairs: Pairs) -> None:
    scores, same = pairs
    far, tar, threshold = roc(scores, same)
    assert threshold.tolist() == [np.inf, *sorted(set(scores.tolist()), reverse=True)]
    for i in range(len(far)):
        accepted = scores >= threshold[i]
        assert tar[i] == pytest.approx(accepted[same].mean())
        assert far[i] == pytest.approx(accepted[~same].mean())


@pytest.mark.parametrize(
    ("scores", "same", "expected"),
    [
        ([4, 3, 2, 1], [1, 1, 0, 0], 0.0),
        ([4, 3, 2, 1], [0, 0, 1, 1], 1.0),
        ([1, 1, 1, 1], [1, 0, 1, 0], 0.5),
        ([4, 3, 2, 1], [1, 0, 1, 0], 0.5),
        ([5, 4, 3, 2, 1, 0], [1, 1, 0, 1, 0, 0], 1 / 3),
        ([3, 2, 2, 1], [1, 1, 0, 0], 0.25),  # between (FAR 0, FNMR 1/2) and (1/2, 0): interpolated
    ],
)
def test_equal_error_rate_of_known_cases(scores: list[int], same: list[int], expected: float) -> None:
    assert equal_error_rate(scores, same) == pytest.approx(expected)


@given(tied_pairs())
def test_equal_error_rate_mirrors(pairs: Pairs) -> None:
    scores, same = pairs
    assert equal_error_rate(scores, same) == pytest.approx(equal_error_rate(-scores, ~same))


def brute_best(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> float:
    """The largest number of right decisions that any observed threshold gives."""
    return max(int(((scores >= t) == same).sum()) for t in scores)


@given(tied_pairs())
def test_best_threshold_is_observed_and_best(pairs: Pairs) -> None:
    scores, same = pairs
    threshold = best_threshold(scores, same)
    assert threshold in scores
    assert ((scores >= threshold) == same).sum() == brute_best(scores, same)


def test_best_threshold_takes_the_middle_of_the_first_plateau() -> None:
    scores = np.array([9, 8, 8, 7, 7, 6])  # thresholds 9, 8 and 7 all decide 4 of 6 rightly
    same = np.array([1, 1, 0, 1, 0, 0])
    assert [int(((scores >= t) == same).sum()) for t in (9, 8, 7, 6)] == [4, 4, 4, 3]
    assert best_threshold(scores, same) == 8


def test_kfold_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    same = np.tile([True, False], 40)
    scores = (1500 + 40 * rng.standard_normal(80) + 30 * same).astype(np.float32)
    fold = np.repeat(np.arange(4), 20)
    found = kfold_accuracy(scores, same, fold)
    for k in range(4):
        train, test = fold != k, fold == k
        threshold = found.threshold[k]
        assert threshold in scores[train]
        assert ((scores[train] >= threshold) == same[train]).sum() == brute_best(scores[train], same[train])
        assert found.accuracy[k] == pytest.approx(
            np.mean([(s >= threshold) == y for s, y in zip(scores[test], same[test], strict=True)])
        )
    assert found.mean == pytest.approx(sum(found.accuracy) / 4)
    assert found.std == pytest.approx(np.sqrt(((found.accuracy - found.mean) ** 2).sum() / 4))


def test_kfold_never_looks_at_the_held_out_fold() -> None:
    rng = np.random.default_rng(1)
    scores, same, fold = rng.standard_normal(60), np.tile([True, False], 30), np.repeat([0, 1, 2], 20)
    changed = np.where(fold == 1, rng.standard_normal(60), scores)
    assert kfold_accuracy(scores, same, fold).threshold[1] == kfold_accuracy(changed, same, fold).threshold[1]


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        ([1.0, 2.0], [True, True], "genuine and impostor"),
        ([1.0, 2.0], [False, False], "genuine and impostor"),
        ([], [], "genuine and impostor"),
        ([1.0, np.nan], [True, False], "finite"),
        ([1.0, np.inf], [True, False], "finite"),
        ([1.0, 2.0, 3.0], [True, False], "must be"),
        ([[1.0, 2.0]], [[True, False]], "must be"),
    ],
)
def test_unusable_input(scores: list[float], same: list[bool], message: str) -> None:
    for call in (roc, equal_error_rate, best_threshold, lambda s, y: tar_at_far(s, y, 0.1)):
        with pytest.raises(ValueError, match=message):
            call(scores, same)
    with pytest.raises(ValueError, match=message):
        kfold_accuracy(scores, same, np.arange(len(scores)))


@pytest.mark.parametrize("target", [-0.1, 1.1, np.nan])
def test_target_outside_its_range(target: float) -> None:
    with pytest.raises(ValueError, match="target"):
        tar_at_far([1.0, 2.0], [False, True], target)


@pytest.mark.parametrize("fold", [[0, 0, 0, 0], [0, 1]])
def test_folds_must_fit(fold: list[int]) -> None:
    with pytest.raises(ValueError, match="fold"):
        kfold_accuracy([1.0, 2.0, 3.0, 4.0], [False, True, False, True], fold)
