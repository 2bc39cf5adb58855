"""Identity-balanced batches."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.training.sampler import BalancedSampler

COUNTS = {"one": 1, "two": 2, "three": 3, "many": 40, "more": 9, "single": 1, "five": 5}
IDENTITY = [name for name, count in COUNTS.items() for _ in range(count)]


def people_of(sampler: BalancedSampler, step: int) -> list[str]:
    return sorted({IDENTITY[row] for row in sampler.batch(step)[0]})


@pytest.mark.parametrize("people", [1, 2, 3, 5, 64])
def test_every_person_weighs_the_same(people: int) -> None:
    sampler = BalancedSampler(IDENTITY, people, 4, 2, seed=0)
    steps = 2000
    turns = dict.fromkeys(COUNTS, 0)
    for step in range(steps):
        for name in people_of(sampler, step):
            turns[name] += 1
    assert turns.pop("one") == turns.pop("single") == 0
    mean = sum(turns.values()) / 5
    assert mean > 0.8 * steps * min(people, 5) / 5
    assert all(abs(count - mean) < 0.06 * mean for count in turns.values())


@pytest.mark.parametrize("people", [1, 5])
def test_everybody_has_a_turn_before_anybody_has_the_next(people: int) -> None:
    sampler = BalancedSampler(IDENTITY, people, 4, 2, seed=0)
    rounds = 5 // people
    for start in range(0, 10 * rounds, rounds):
        seen = [name for step in range(start, start + rounds) for name in people_of(sampler, step)]
        assert sorted(seen) == ["five", "many", "more", "three", "two"]


def test_never_one_photograph_twice_and_as_many_as_there_are() -> None:
    sampler = BalancedSampler(IDENTITY, 5, 4, 3, seed=1)
    for step in range(100):
        rows, _ = sampler.batch(step)
        assert len(rows) == len(set(rows.tolist()))
        counts = {name: sum(IDENTITY[row] == name for row in rows) for name in people_of(sampler, step)}
        assert counts == {"two": 2, "three": 3, "many": 4, "more": 4, "five": 4}


def test_all_photographs_and_views_come_up() -> None:
    sampler = BalancedSampler(IDENTITY, 5, 4, 3, seed=2)
    rows, views = (np.concatenate(part) for part in zip(*(sampler.batch(step) for step in range(200)), strict=True))
    assert set(rows.tolist()) == {row for row, name in enumerate(IDENTITY) if COUNTS[name] > 1}
    assert np.all(np.abs(np.bincount(views) / len(views) - 1 / 3) < 0.05)


def test_a_batch_depends_on_its_number_and_the_seed_alone() -> None:
    sampler = BalancedSampler(IDENTITY, 3, 4, 2, seed=3)
    expected = [sampler.batch(step) for step in range(8)]
    again = BalancedSampler(IDENTITY, 3, 4, 2, seed=3)
    for step in (7, 2, 2, 0):
        for one, other in zip(again.batch(step), expected[step], strict=True):
            assert np.array_equal(one, other)
    other_seed = BalancedSampler(IDENTITY, 3, 4, 2, seed=4)
    assert any(not np.array_equal(other_seed.batch(step)[0], expected[step][0]) for step in range(8))


@pytest.mark.parametrize("identity", [[], ["a"], ["a", "b", "c"]])
def test_nobody_with_two_photographs(identity: list[str]) -> None:
    with pytest.raises(InputError, match="at least two photographs"):
        BalancedSampler(identity, 2, 2, 1, seed=0)
