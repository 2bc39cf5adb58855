"""Templates of a few images of mixed quality, made from any folder of identities.

All pairs of templates are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.images.degrade import image_seed


@dataclass(frozen=True)
class MixedTemplates:
    """Two disjoint templates of each person.

    Attributes:
        members: for each template the positions of its images in the photo set.
        degraded: for each template, for each member, whether its degraded view is used (else the clean one).
        identity: int (T,), who the template shows.
        names: the people, indexed by ``identity``.
    """

    members: list[NDArray[np.int64]]
    degraded: list[NDArray[np.bool_]]
    identity: NDArray[np.int64]
    names: list[str]

    def __len__(self) -> int:
        return len(self.members)


def make_templates(
    identities: Sequence[str], ids: Sequence[str], seed: int, sizes: tuple[int, int] = (2, 5), clean_share: float = 0.25
) -> MixedTemplates:
    """Two disjoint templates of 2 to 5 images of every person with at least four images.

    A person's images are shuffled; the size of the first template is uniform in ``sizes`` as far as it leaves the least
    size to the second, which then takes a size uniform in ``sizes`` as far as the rest reaches. Each member is clean
    with probability ``clean_share``, else degraded by the standard mix. All is a function of ``seed`` and the names.

    Args:
        identities: person of every image. ids: name of every image.

    Raises:
        InputError: when fewer than two people have four images.
    """
    by_person: dict[str, list[int]] = defaultdict(list)
    for position, name in enumerate(identities):
        by_person[name].append(position)
    names = sorted(name for name, rows in by_person.items() if len(rows) >= 2 * sizes[0])
    if len(names) < 2:
        raise InputError(f"templates need two people with at least {2 * sizes[0]} images each, found {len(names)}")
    members, degraded, owner = [], [], []
    for number, name in enumerate(names):
        rng = np.random.default_rng(image_seed(seed, name))
        rows = rng.permutation(sorted(by_person[name], key=lambda row: ids[row]))
        first = int(rng.integers(sizes[0], min(sizes[1], len(rows) - sizes[0]) + 1))
        second = int(rng.integers(sizes[0], min(sizes[1], len(rows) - first) + 1))
        for part in (rows[:first], rows[first : first + second]):
            members.append(part.astype(np.int64))
            degraded.append(rng.uniform(size=len(part)) >= clean_share)
            owner.append(number)
    return MixedTemplates(members, degraded, np.array(owner), names)
