"""Comparisons of held-out people in all the qualities and template sizes that a calibrator must know."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.evidence import Evidence, pair_evidence
from faceunc.embeddings import Embeddings, concatenate
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.images.views import View
from faceunc.scoring.pooling import Pooling, pool_templates

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
CLEAN, ONE, BOTH = "clean", "(a) one degraded", "(b) both degraded"
KINDS = (CLEAN, ONE, BOTH)
_IMAGES = 5


@dataclass(frozen=True)
class DrawOptions:
    """What is drawn.

    Attributes:
        per_person: most genuine comparisons of one person. impostor: comparisons of two people, in all.
        templates: share of the sides that are templates of 2 to 5 photographs. posterior: how those are fused.
        clean_share: share of undegraded photographs in a degraded template. kinds: which, in equal shares.
        seed: of everything.
    """

    per_person: int = 12
    impostor: int = 60_000
    templates: float = 0.25
    posterior: str = "bayes"
    clean_share: float = 0.25
    kinds: tuple[str, ...] = KINDS
    seed: int = 0


@dataclass(frozen=True)
class Comparisons:
    """P comparisons.

    Attributes:
        evidence: what a calibrator reads. same: (P,). kind: (P,) of :data:`KINDS`.
        first, second: (P,) codes of the people. group: (P,) the group that both belong to.
    """

    evidence: Evidence
    same: Bools
    kind: NDArray[np.str_]
    first: Ints
    second: Ints
    group: Ints

    def __len__(self) -> int:
        return len(self.same)

    def __getitem__(self, rows: NDArray[np.generic]) -> Comparisons:
        return Comparisons(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def weight(self) -> NDArray[np.float64]:
        """(P,) one over the number of genuine comparisons of a person; 1 for impostors, drawn evenly over people."""
        count = np.bincount(self.first[self.same], minlength=int(self.first.max()) + 1)
        return np.where(self.same, 1.0 / np.maximum(count[self.first], 1), 1.0)

    @property
    def single(self) -> Bools:
        """(P,) two single photographs."""
        return np.asarray(self.evidence.images[:, 1] == 1)


def draw_comparisons(bench: Bench, head: str, group: Ints, options: DrawOptions | None = None) -> Comparisons:
    """Draw genuine and impostor comparisons inside groups of people.

    By default a third is clean, a third has one degraded side, a third two. Degradations are the standard mix of the
    three test seeds. Nothing is compared across groups, so that what is fitted on some can be judged on the others, and
    with heads that are cross-fitted a group must not mix their parts.

    Args:
        group: (N,) of every photograph, equal for all of a person; negative ones are left out.

    Raises:
        ValueError: nobody has two photographs.
    """
    options = options or DrawOptions()
    rng = np.random.default_rng([options.seed, 5])
    names, person = np.unique(bench.source.photos.identities, return_inverse=True)
    usable = (bench.source.landmarks.state == 0) & (group >= 0)
    people = _by_person(person, usable, len(names))
    genuine = _genuine(people, options, rng)
    if not genuine:
        raise ValueError("nobody has two photographs that can be used; a hundred people with two or more are needed")
    sides = genuine + _impostor(people, group, genuine, options, rng)
    kind = rng.choice(options.kinds, len(sides))
    first = np.array([person[left[0]] for left, _ in sides])
    second = np.array([person[right[0]] for _, right in sides])
    evidence = _evidence(bench, head, sides, kind, options, rng)
    where = np.array([group[left[0]] for left, _ in sides])
    return Comparisons(evidence, first == second, kind, first, second, where)


Side = NDArray[np.int64]


def _by_person(person: Ints, usable: Bools, count: int) -> list[Side]:
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(person[rows], kind="stable")]
    return np.split(rows, np.searchsorted(person[rows], np.arange(1, count)))


def _size(most: int, options: DrawOptions, rng: np.random.Generator) -> int:
    return int(rng.integers(2, min(most, _IMAGES) + 1)) if most >= 2 and rng.uniform() < options.templates else 1


def _genuine(people: list[Side], options: DrawOptions, rng: np.random.Generator) -> list[tuple[Side, Side]]:
    sides = []
    for rows in people:
        possible = len(rows) * (len(rows) - 1) // 2
        for _ in range(min(possible, options.per_person)):
            order = rng.permutation(rows)
            left = _size(len(rows) - 1, options, rng)
            right = _size(len(rows) - left, options, rng)
            sides.append((order[:left], order[left : left + right]))
    return sides


def _impostor(
    people: list[Side], group: Ints, genuine: list[tuple[Side, Side]], options: DrawOptions, rng: np.random.Generator
) -> list[tuple[Side, Side]]:
    """Sizes are those of genuine comparisons, a person's counting as one: else the size would tell the class."""
    counts = np.array([len(rows) for rows in people])
    own = np.array([group[rows[0]] if len(rows) else -1 for rows in people])
    groups = np.unique(own[own >= 0])
    enough = {
        (where, size): np.flatnonzero((own == where) & (counts >= size)) for where in groups for size in range(1, 6)
    }
    squares = np.array([len(enough[where, 1]) ** 2 for where in groups], np.float64)
    places = rng.choice(groups, options.impostor, p=squares / squares.sum())
    patterns = [(len(left), len(right)) for left, right in genuine]
    weight = _per_person(genuine, people)
    chosen = rng.choice(len(patterns), options.impostor, p=weight / weight.sum())
    sides = []
    for where, (left, right) in zip(places.tolist(), (patterns[i] for i in chosen), strict=True):
        one, other = (enough[where, size] for size in (left, right))
        if len(one) and len(other):
            a, b = int(rng.choice(one)), int(rng.choice(other))
            if a != b:
                sides.append((rng.permutation(people[a])[:left], rng.permutation(people[b])[:right]))
    return sides


def _per_person(genuine: list[tuple[Side, Side]], people: list[Side]) -> NDArray[np.float64]:
    """One over the number of genuine comparisons of the person, for each of them."""
    owner = {int(row): number for number, rows in enumerate(people) for row in rows}
    numbers = np.array([owner[int(left[0])] for left, _ in genuine])
    return np.asarray(1.0 / np.bincount(numbers)[numbers])


def _evidence(
    bench: Bench,
    head: str,
    sides: list[tuple[Side, Side]],
    kind: NDArray[np.str_],
    options: DrawOptions,
    rng: np.random.Generator,
) -> Evidence:
    views = [View(), *(View(mix_seed=seed) for seed in TEST_SEEDS)]
    bench.prepare(views)
    table = concatenate([bench.embeddings(view, head) for view in views])
    poor = (kind == BOTH, kind != CLEAN)
    fused, counts = zip(
        *(_fused(table, [side[k] for side in sides], poor[k], len(views), options, rng) for k in (0, 1)), strict=True
    )
    return pair_evidence(fused[0], fused[1], counts[0], counts[1])


def _fused(
    table: Embeddings, sides: list[Side], poor: Bools, views: int, options: DrawOptions, rng: np.random.Generator
) -> tuple[Embeddings, Any]:
    """One embedding a side. A degraded template keeps some clean photographs, a degraded single photograph does not."""
    counts = np.array([len(side) for side in sides])
    template = np.repeat(np.arange(len(sides)), counts)
    degraded = poor[template] & ((counts[template] == 1) | (rng.uniform(size=len(template)) >= options.clean_share))
    view = np.where(degraded, rng.integers(1, views, len(template)), 0)
    rows = view * (len(table) // views) + np.concatenate(sides)
    return pool_templates(table[rows], template, Pooling(posterior=options.posterior)), counts
