"""Which photographs are corrupted, how, and whose names are exchanged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceunc.images.degrade import KINDS
from faceunc.images.views import View
from faceunc.sweep.noise_labels import exchange_labels
from faceunc.sweep.noise_views import SEVERITIES, CorruptView, corrupted_images

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)


def photographs(counts: list[int]) -> tuple[list[str], list[str]]:
    """(ids, identities) of people with so many photographs each."""
    identities = [f"p{number}" for number, count in enumerate(counts) for _ in range(count)]
    return [f"{name}/{row}.jpg" for row, name in enumerate(identities)], identities


def per_person(chosen: NDArray[np.bool_], identities: list[str]) -> NDArray[np.float64]:
    return np.bincount(np.unique(identities, return_inverse=True)[1], chosen)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=20), st.integers(0, 5))
def test_share_of_every_person_is_exact_and_nested(counts: list[int], seed: int) -> None:
    ids, identities = photographs(counts)
    sizes = per_person(np.ones(len(ids), bool), identities)
    before = np.zeros(len(ids), bool)
    for share in SHARES:
        chosen = corrupted_images(ids, identities, share, seed)
        found, exact = per_person(chosen, identities), share * sizes
        assert (found >= np.floor(exact + 1e-6)).all()
        assert (found <= np.ceil(exact - 1e-6)).all()
        assert (chosen | ~before).all()
        before = chosen


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("each", [1, 2, 3])
def test_share_overall_is_right_for_people_with_few_photographs(share: float, each: int) -> None:
    ids, identities = photographs([each] * 4000)
    assert corrupted_images(ids, identities, share, 0).mean() == pytest.approx(share, abs=0.015)


def test_choice_follows_from_seed_and_names_alone() -> None:
    ids, identities = photographs([7, 1, 4, 12, 3])
    chosen = corrupted_images(ids, identities, 0.3, 5)
    order = np.random.default_rng(0).permutation(len(ids))
    shuffled = corrupted_images([ids[i] for i in order], [identities[i] for i in order], 0.3, 5)
    np.testing.assert_array_equal(shuffled, chosen[order])
    some = [i for i, name in enumerate(identities) if name in ("p0", "p3")]  # others do not matter
    alone = corrupted_images([ids[i] for i in some], [identities[i] for i in some], 0.3, 5)
    np.testing.assert_array_equal(alone, chosen[some])
    assert (corrupted_images(ids, identities, 0.3, 6) != chosen).any()


def test_wrong_share() -> None:
    with pytest.raises(ValueError, match="share must be in"):
        corrupted_images(["a"], ["a"], 1.2, 0)


def test_corrupted_version_belongs_to_the_photograph(astronaut: NDArray[np.uint8]) -> None:
    chip = np.ascontiguousarray(astronaut[:150, 150:300])
    for kind in ("blur", "noise"):
        view = CorruptView(corruption=kind)
        degradation = view.degradation("a.jpg")
        assert degradation.kind == kind
        assert SEVERITIES[0] <= degradation.severity <= SEVERITIES[1]
        assert degradation != view.degradation("b.jpg")
        expected = KINDS[kind](chip, degradation.severity, np.random.default_rng(degradation.seed))
        np.testing.assert_array_equal(view.apply(chip, "a.jpg"), expected)
        mirrored = CorruptView(flip=True, corruption=kind).apply(chip, "a.jpg")
        np.testing.assert_array_equal(mirrored, expected[:, ::-1])
        mixed = CorruptView(3, corruption=kind)
        np.testing.assert_array_equal(mixed.apply(chip, "a.jpg"), View(3).apply(expected, "a.jpg"))
        assert mixed.degradation("a.jpg") == View(3).degradation("a.jpg")


def test_views_have_names_of_their_own() -> None:
    views = [CorruptView(mix, flip, kind) for mix in (None, 1) for flip in (False, True) for kind in ("blur", "noise")]
    names = [view.name for view in [*views, View(), View(1), View(flip=True)]]
    assert len(set(names)) == len(names)
    assert View() != CorruptView()
    with pytest.raises(ValueError, match="corruption must be one of"):
        CorruptView(corruption="fog")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=3, max_size=12), st.integers(0, 9))
def test_exchanged_labels_are_wrong_and_stay_among_the_rows(counts: list[int], seed: int) -> None:
    person = np.repeat(np.arange(len(counts)), counts)
    rows = np.flatnonzero(np.random.default_rng(seed).uniform(size=len(person)) < 0.6)
    before = person.copy()
    wrong = exchange_labels(person, rows, seed)
    np.testing.assert_array_equal(person, before)
    np.testing.assert_array_equal(np.bincount(wrong, minlength=len(counts)), counts)
    others = np.setdiff1d(np.arange(len(person)), rows)
    np.testing.assert_array_equal(wrong[others], person[others])
    most = int(np.bincount(person[rows]).max()) if len(rows) else 0
    left = int((wrong[rows] == person[rows]).sum())
    assert left == max(0, 2 * most - len(rows))  # whoever has more than half of the rows cannot give all away


def test_one_persons_photographs_go_to_many() -> None:
    person = np.repeat(np.arange(101), [100] + [2] * 100)
    wrong = exchange_labels(person, np.arange(len(person)), 0)
    assert len(np.unique(wrong[:100])) > 40
