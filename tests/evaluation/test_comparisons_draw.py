"""What is drawn to calibrate on: who is compared with whom, of which photographs, how poor, in which template sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation import comparisons
from faceunc.evaluation.comparisons import BOTH, CLEAN, KINDS, ONE, Comparisons, DrawOptions, draw_comparisons
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.images.views import View

PEOPLE, DIM = 120, 4
SIGMA = {View(): 0.01} | {View(mix_seed=seed): 0.1 for seed in TEST_SEEDS}
OPTIONS = DrawOptions(per_person=12, impostor=6000)


@dataclass
class FakeBench:
    """People with 1 to 14 photographs, a tenth of them unusable; the sigma tells whether a view is degraded."""

    source: Any
    head: str = "mine"

    def prepare(self, views: list[View]) -> None:
        assert set(views) == set(SIGMA)

    def embeddings(self, view: View, head: str) -> Embeddings:
        assert head == self.head
        ids = [f"{name}@{view.name}" for name in self.source.photos.ids]
        mean = np.random.default_rng(len(view.name)).normal(size=(len(ids), DIM)).astype(np.float32)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        return Embeddings(mean, np.full((len(ids), 1), 2 * np.log(SIGMA[view]), np.float32), ids)


@dataclass(frozen=True)
class Drawn:
    """What came out, and the photographs of each side as (row, view)."""

    found: Comparisons
    sides: list[list[list[tuple[int, str]]]]
    names: NDArray[np.str_]
    group: NDArray[np.int64]
    usable: NDArray[np.bool_]


def fake_bench() -> tuple[FakeBench, NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    order = rng.permutation([f"p{k:03d}" for k in range(PEOPLE) for _ in range(1 + k % 14)])
    number = np.array([int(name[1:]) for name in order])
    state = (rng.uniform(size=len(order)) < 0.1).astype(np.uint8) * rng.integers(1, 3, len(order)).astype(np.uint8)
    photos = SimpleNamespace(identities=order.tolist(), ids=[str(row) for row in range(len(order))])
    group = np.array([3, 7, -1, 3, 7])[number % 5]  # a fifth of the people is left out
    return FakeBench(SimpleNamespace(photos=photos, landmarks=SimpleNamespace(state=state))), group


def draw(options: DrawOptions = OPTIONS) -> Drawn:
    """Draws, and listens to what is pooled: the first call holds all first sides, the second all second ones."""
    bench, group = fake_bench()
    heard: list[list[list[tuple[int, str]]]] = []
    original = comparisons.pool_templates

    def spy(table: Embeddings, template: NDArray[np.int64], *rest: Any) -> Embeddings:
        sides: list[list[tuple[int, str]]] = [[] for _ in range(int(template.max()) + 1)]
        for name, number in zip(table.ids, template.tolist(), strict=True):
            row, view = name.split("@")
            sides[number].append((int(row), view))
        heard.append(sides)
        return original(table, template, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparisons, "pool_templates", spy)
        found = draw_comparisons(bench, "mine", group, options)  # type: ignore[arg-type]
    assert len(heard) == 2
    names = np.array(bench.source.photos.identities)
    return Drawn(found, heard, names, group, bench.source.landmarks.state == 0)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return draw()


def each(drawn: Drawn) -> Iterator[tuple[int, list[int], list[int]]]:
    """(number, rows of the first side, rows of the second side)."""
    for number, (left, right) in enumerate(zip(*drawn.sides, strict=True)):
        yield number, [row for row, _ in left], [row for row, _ in right]


def test_no_photograph_is_compared_with_itself(drawn: Drawn) -> None:
    assert len(drawn.sides[0]) == len(drawn.found)
    for _, left, right in each(drawn):
        assert len({*left, *right}) == len(left) + len(right)


def test_a_side_is_of_one_person_and_same_says_the_truth(drawn: Drawn) -> None:
    people = np.unique(drawn.names)
    for number, left, right in each(drawn):
        (first,), (second,) = set(drawn.names[left]), set(drawn.names[right])
        assert (people[drawn.found.first[number]], people[drawn.found.second[number]]) == (first, second)
        assert drawn.found.same[number] == (first == second)
    assert drawn.found.same.any()
    assert (~drawn.found.same).sum() > 0.9 * OPTIONS.impostor


def test_groups_do_not_meet_and_what_is_left_out_stays_out(drawn: Drawn) -> None:
    for number, left, right in each(drawn):
        assert set(drawn.group[[*left, *right]]) == {drawn.found.group[number]}
    assert set(drawn.found.group) == {3, 7}


def test_only_photographs_that_can_be_used(drawn: Drawn) -> None:
    used = {row for _, left, right in each(drawn) for row in (*left, *right)}
    possible = set(np.flatnonzero(drawn.usable & (drawn.group >= 0)))
    assert used <= possible < set(range(len(drawn.names)))
    assert len(used) == len(possible)  # with so many comparisons everybody has a turn


def test_a_person_has_no_more_genuine_comparisons_than_asked_or_possible(drawn: Drawn) -> None:
    people = np.unique(drawn.names)
    count = np.bincount(drawn.found.first[drawn.found.same], minlength=len(people))
    for person, name in enumerate(people):
        photos = int((drawn.usable & (drawn.group >= 0) & (drawn.names == name)).sum())
        assert count[person] == min(photos * (photos - 1) // 2, OPTIONS.per_person)


def test_kinds_have_equal_shares_in_both_classes(drawn: Drawn) -> None:
    for same in (True, False):
        kinds = drawn.found.kind[drawn.found.same == same]
        for kind in KINDS:
            assert (kinds == kind).mean() == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / len(kinds)))


def test_kinds_can_be_chosen() -> None:
    found = draw(replace(OPTIONS, kinds=(CLEAN,), impostor=500)).found
    assert set(found.kind) == {CLEAN}
    assert found.evidence.poorer.max() == pytest.approx(SIGMA[View()], rel=1e-5)


def test_views_are_what_the_kind_says(drawn: Drawn) -> None:
    """Clean: no degraded photograph. Degraded singles are all degraded, templates keep a quarter clean."""
    clean_in_templates, in_templates = 0, 0
    for number, kind in enumerate(drawn.found.kind):
        for place in (0, 1):
            views = [view for _, view in drawn.sides[place][number]]
            poor = kind == BOTH or (kind == ONE and place == 1)
            if not poor:
                assert set(views) == {"clean"}
            elif len(views) == 1:
                assert views[0] != "clean"
            else:
                clean_in_templates += views.count("clean")
                in_templates += len(views)
    share = clean_in_templates / in_templates
    assert share == pytest.approx(OPTIONS.clean_share, abs=4 * np.sqrt(0.19 / in_templates))
    seen = {view for side in drawn.sides for photos in side for _, view in photos}
    assert seen == {view.name for view in SIGMA}


def test_evidence_is_that_of_the_sides(drawn: Drawn) -> None:
    """Sigma, larger first: 1/s^2 = sum of 1/s_i^2 over the photographs of a side; numbers, smaller first."""
    of_view = {view.name: sigma for view, sigma in SIGMA.items()}
    for number in range(0, len(drawn.found), 7):
        views = [[of_view[view] for _, view in side[number]] for side in drawn.sides]
        sigma = sorted((sum(s**-2 for s in side) ** -0.5 for side in views), reverse=True)
        np.testing.assert_allclose(drawn.found.evidence.sigma[number], sigma, rtol=1e-4)
        assert drawn.found.evidence.images[number].tolist() == sorted(len(side) for side in views)
        assert drawn.found.single[number] == all(len(side) == 1 for side in views)


def test_the_posterior_of_templates_can_be_chosen() -> None:
    found = draw(replace(OPTIONS, posterior="min", kinds=(CLEAN,), impostor=200)).found
    assert not found.single.all()
    np.testing.assert_allclose(found.evidence.sigma, SIGMA[View()], rtol=1e-5)


def sizes(found: Comparisons, same: bool, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """(5, 5) shares of the pairs of template sizes."""
    rows = found.same == same
    images = found.evidence.images[rows].astype(int) - 1
    table = np.zeros((5, 5))
    np.add.at(table, (images[:, 0], images[:, 1]), weight[rows])
    return table / table.sum()


def test_template_sizes_do_not_tell_the_class() -> None:
    found = draw(replace(OPTIONS, impostor=20_000, templates=0.5)).found
    genuine, impostor = (sizes(found, same, found.weight) for same in (True, False))
    assert abs(genuine - impostor).sum() < 0.06
    plain = sizes(found, True, np.ones(len(found)))  # the test can see it when large people count more
    assert abs(plain - impostor).sum() > 0.12
    assert (genuine > 0).sum() == 15  # all pairs of sizes, smaller first


def test_weight_counts_every_person_once() -> None:
    found = draw().found
    total = np.bincount(found.first[found.same], found.weight[found.same])
    np.testing.assert_allclose(total[total > 0], 1.0)
    impostor = found.weight[~found.same]
    assert (impostor == 1.0).all()
    few = found[np.flatnonzero(found.group == 3)]
    np.testing.assert_allclose(few.weight, found.weight[found.group == 3])


def test_the_seed_decides(drawn: Drawn) -> None:
    again, other = draw(), draw(replace(OPTIONS, seed=1))
    assert again.sides == drawn.sides
    for name in ("same", "kind", "first", "second", "group"):
        np.testing.assert_array_equal(getattr(again.found, name), getattr(drawn.found, name))
    np.testing.assert_array_equal(again.found.evidence.columns(), drawn.found.evidence.columns())
    assert other.sides != drawn.sides
