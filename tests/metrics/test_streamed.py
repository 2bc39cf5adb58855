"""The kept top of a stream gives what all scores give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceunc.metrics.sorted_scores import sort_scores
from faceunc.metrics.streamed import TopImpostors

Scores = st.lists(st.integers(-3, 3), min_size=1, max_size=40)


@given(Scores, Scores, st.floats(0, 0.999), st.integers(1, 7))
def test_the_same_as_all_scores(genuine: list[int], impostors: list[int], target: float, block: int) -> None:
    stream = TopImpostors(len(impostors))
    for start in range(0, len(impostors), block):
        stream.add(np.array(impostors[start : start + block], np.float32))
    point = stream.tar_at_far(np.array(genuine, np.float32), target)
    same = np.repeat([True, False], [len(genuine), len(impostors)])
    expected = sort_scores(np.array([*genuine, *impostors], np.float32), same).tar_at_far(target)
    assert (point.tar, point.impostors, point.genuine) == (expected.tar, expected.impostors, expected.genuine)
    assert point.far <= target


def test_a_small_top_is_enough() -> None:
    rng = np.random.default_rng(0)
    impostors, genuine = rng.normal(size=(100, 1000)), rng.normal(3, 1, 500)
    small, large = TopImpostors(200), TopImpostors(100_000)
    for block in impostors:
        small.add(block)
        large.add(block)
    for target in (0.0, 1e-5, 1e-4, 1e-3):
        assert small.tar_at_far(genuine, target) == large.tar_at_far(genuine, target)
    with pytest.raises(ValueError, match="target must be in"):
        small.tar_at_far(genuine, 0.1)


def test_unusable_input() -> None:
    with pytest.raises(ValueError, match="keep must be"):
        TopImpostors(0)
    stream = TopImpostors(3)
    with pytest.raises(ValueError, match="impostor scores must"):
        stream.tar_at_far([1.0], 0.0)
    stream.add([0.0, 0.5])
    assert stream.tar_at_far([1.0, -1.0], 1.0).tar == 1.0  # everything was kept: every target can be answered
    for genuine in ([np.nan, 5.0], [[5.0, 0.0], [5.0, 6.0]], []):
        with pytest.raises(ValueError, match="genuine must be"):
            stream.tar_at_far(genuine, 0.0)
    with pytest.raises(ValueError, match="finite"):
        stream.add([np.nan])
