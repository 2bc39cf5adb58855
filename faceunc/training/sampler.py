"""Identity-balanced batches: P people a batch, K photographs each, a random view of each photograph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError

Rows = NDArray[np.int64]


class BalancedSampler:
    """Batches of (photograph, view) in which every person weighs the same; batch number t is a pure function of t.

    People with a single photograph have no genuine pair and are left out; a person with fewer than K gives all of them,
    never one photograph twice. People come in an endless row of permutations;
    who would stand twice in one batch, where two permutations meet, stands in it once.

    Args:
        identity: (N,), the person of every photograph (any hashable).
        people, images: P and K. views: number of views of every photograph. seed: fixes the sequence.

    Raises:
        InputError: when nobody has two photographs.
    """

    def __init__(self, identity: Sequence[object], people: int, images: int, views: int, seed: int) -> None:
        groups: dict[object, list[int]] = {}
        for row, name in enumerate(identity):
            groups.setdefault(name, []).append(row)
        self.groups = [np.array(rows, np.int64) for rows in groups.values() if len(rows) > 1]
        if not self.groups:
            raise InputError(f"training needs people with at least two photographs, found none among {len(groups)}")
        self.people, self.images, self.views, self.seed = min(people, len(self.groups)), images, views, seed

    def batch(self, step: int) -> tuple[Rows, Rows]:
        """(photograph, view) of batch ``step``, int64 (B,) each, B <= P x K."""
        rng = np.random.default_rng([self.seed, 1, step])
        rows = np.concatenate([rng.permutation(self.groups[g])[: self.images] for g in self._groups_of(step)])
        return rows, rng.integers(0, self.views, len(rows))

    def _groups_of(self, step: int) -> list[int]:
        """The people of a batch: a window of an endless row of permutations of all people."""
        total = len(self.groups)
        first, last = step * self.people, (step + 1) * self.people - 1
        turns = range(first // total, last // total + 1)
        order = np.concatenate([np.random.default_rng([self.seed, 0, turn]).permutation(total) for turn in turns])
        offset = first - turns[0] * total
        return list(dict.fromkeys(order[offset : offset + self.people].tolist()))
