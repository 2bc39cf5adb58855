"""The bootstrap by subject against analytic standard errors and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceunc.metrics.bootstrap import Interval, subject_bootstrap
from faceunc.metrics.verification import tar_at_far

Rows = NDArray[np.int64]


def width(interval: Interval) -> float:
    return float(interval.high - interval.low)


def test_one_genuine_pair_per_subject_gives_the_standard_error_of_the_mean() -> None:
    values, subject = np.random.default_rng(0).standard_normal(400), np.arange(400)
    found = subject_bootstrap(lambda rows: float(values[rows].mean()), subject, subject, replicates=3000)
    assert found.value == pytest.approx(values.mean())
    assert (found.replicates, found.failed) == (3000, 0)
    assert width(found) == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)
    assert (found.low + found.high) / 2 == pytest.approx(values.mean(), abs=0.01)
    narrower = subject_bootstrap(lambda r: float(values[r].mean()), subject, subject, 3000, level=0.6827)
    assert width(narrower) == pytest.approx(2 * values.std() / 20, rel=0.06)


def test_many_pairs_of_a_subject_make_it_wider_than_the_bootstrap_by_pair() -> None:
    rng = np.random.default_rng(1)
    subject = np.repeat(np.arange(60), 25)
    values = rng.standard_normal(60)[subject] + 0.1 * rng.standard_normal(1500)
    by_subject = subject_bootstrap(lambda rows: float(values[rows].mean()), subject, subject)
    by_pair = np.quantile([values[rng.integers(0, 1500, 1500)].mean() for _ in range(1000)], [0.025, 0.975])
    assert width(by_subject) > 3 * (by_pair[1] - by_pair[0])
    means = values.reshape(60, 25).mean(axis=1)
    assert width(by_subject) == pytest.approx(2 * 1.96 * means.std() / np.sqrt(60), rel=0.12)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_pairs_come_as_often_as_their_subjects(pairs: list[tuple[int, int]], seed: int) -> None:
    pairs = [*pairs, (0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]  # a genuine pair of each: their counts are the c_i
    first, second = np.array(pairs).T
    seen: list[Rows] = []

    def statistic(rows: Rows) -> float:
        seen.append(rows)
        return 0.0

    subject_bootstrap(statistic, first, second, replicates=5, seed=seed)
    assert seen[0].tolist() == list(range(len(pairs)))
    for rows in seen[1:]:
        times = [int((rows == k).sum()) for k in range(len(pairs))]
        drawn = times[-5:]
        assert sum(drawn) == 5
        for k, (i, j) in enumerate(pairs):
            assert times[k] == (drawn[i] if i == j else drawn[i] * drawn[j])


def test_several_figures_names_order_and_seed() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.integers(0, 50, 800), rng.integers(0, 50, 800)
    values = rng.standard_normal(800).astype(np.float32)

    def two(rows: Rows, values: NDArray[np.floating] = values) -> NDArray[np.float64]:
        return np.array([values[rows].mean(dtype=np.float64), values[rows].max()], dtype=np.float64)

    found = subject_bootstrap(two, first, second, 200)
    assert isinstance(found.low, np.ndarray)
    assert np.shape(found.value) == found.low.shape == np.shape(found.high) == (2,)
    single = subject_bootstrap(lambda rows: float(two(rows)[0]), first, second, 200)
    assert isinstance(single.low, float)
    assert single.low == found.low[0]
    names = [np.char.add("p", np.char.zfill(s.astype(str), 2)) for s in (first, second)]
    assert subject_bootstrap(two, *names, 200).low.tolist() == found.low.tolist()
    order = rng.permutation(800)
    shuffled = subject_bootstrap(lambda rows: two(rows, values[order]), first[order], second[order], 200)
    assert shuffled.low == pytest.approx(found.low)
    double = subject_bootstrap(lambda rows: two(rows, values.astype(np.float64)), first, second, 200)
    assert double.low == pytest.approx(found.low)
    assert subject_bootstrap(two, first, second, 200, seed=1).low.tolist() != found.low.tolist()


def test_tar_at_far_is_resampled() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(0, 80, 2000)
    second = np.where(rng.random(2000) < 0.5, first, rng.integers(0, 80, 2000))
    same = first == second
    scores = rng.standard_normal(2000) + 2 * same
    found = subject_bootstrap(lambda rows: tar_at_far(scores[rows], same[rows], 0.1).tar, first, second, 200)
    assert found.low < found.value < found.high


def test_failures_are_counted_and_too_many_refused() -> None:
    subject = np.arange(40)

    def fails(share: float) -> float:
        calls = iter(range(1000))

        def statistic(rows: Rows) -> float:
            call = next(calls)
            if 0 < call <= 100 * share:
                raise ValueError("no genuine pair left")
            return float("nan") if call == 100 else float(rows.mean())

        return subject_bootstrap(statistic, subject, subject, 100).failed

    assert fails(0.05) == 6  # five ValueErrors and a NaN
    with pytest.raises(ValueError, match="10%"):
        fails(0.2)


def test_a_replicate_without_pairs_fails() -> None:
    with pytest.raises(ValueError, match="10%"):  # half of all draws of two subjects take one of them twice
        subject_bootstrap(lambda rows: float(rows.mean()), [0], [1], 100)


@pytest.mark.parametrize(
    ("first", "second", "options", "message"),
    [
        ([], [], {}, "P >= 1"),
        ([1, 2], [1], {}, "must be"),
        ([[1, 2]], [[1, 2]], {}, "must be"),
        ([1, 1], [1, 1], {}, "two subjects"),
        ([1, 2], ["1", "2"], {}, "one kind"),
        ([1, 2], [1, 2], {"replicates": 1}, "replicates"),
        ([1, 2], [1, 2], {"level": 1.0}, "level"),
        ([1, 2], [1, 2], {"level": np.nan}, "level"),
    ],
)
def test_unusable_input(first: list[int], second: list[int], options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        subject_bootstrap(lambda rows: float(len(rows)), first, second, **options)  # type: ignore[arg-type]


def test_unusable_statistic() -> None:
    subject = np.arange(20)
    with pytest.raises(ValueError, match="on all pairs"):
        subject_bootstrap(lambda rows: float("nan"), subject, subject)
    with pytest.raises(ValueError, match="one shape"):
        subject_bootstrap(lambda rows: np.unique(rows).astype(np.float64), subject, subject)
