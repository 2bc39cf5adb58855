"""What is done to the photographs that the noise sweep corrupts, and which these are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.images.degrade import Degradation, degrade, image_seed
from faceunc.images.views import View

IMAGE_KINDS = ("blur", "noise")
SEVERITIES = (0.25, 1.0)  # blur: standard deviation 2 to 6.5 px of the chip; noise: 24 to 80 grey levels
_PIXELS_SEED = 7  # of severity and noise pattern: every photograph has one corrupted version, whatever the sweep's seed


@dataclass(frozen=True)
class CorruptView(View):
    """The corrupted version of every photograph, and what a view makes of that.

    Attributes:
        corruption: one of :data:`IMAGE_KINDS`. Each photograph has a severity of its own, uniform in
            :data:`SEVERITIES`, from its name alone. A mix (``mix_seed``) comes on top, as a photograph that is poor
            already would be degraded further.
    """

    corruption: str = "blur"

    def __post_init__(self) -> None:
        if self.corruption not in IMAGE_KINDS:
            raise ValueError(f"corruption must be one of {', '.join(IMAGE_KINDS)}. Got {self.corruption!r} instead.")

    @property
    def name(self) -> str:
        """Such as "corrupt-blur-clean": another name than any plain view's, for it names the cached features."""
        low, high = SEVERITIES
        return f"corrupt-{self.corruption}-{low:g}-{high:g}-{_PIXELS_SEED}-{super().name}"

    def own_corruption(self, image_id: str) -> Degradation:
        """What is done to the photograph before the rest of the view."""
        own = image_seed(_PIXELS_SEED, image_id)
        return Degradation(self.corruption, float(np.random.default_rng([own, 6]).uniform(*SEVERITIES)), own)

    def degradation(self, image_id: str) -> Degradation:
        """The view's own degradation, else the corruption."""
        return self.own_corruption(image_id) if self.mix_seed is None else super().degradation(image_id)

    def apply(self, chip: NDArray[np.uint8], image_id: str) -> NDArray[np.uint8]:
        """Make the view of an aligned RGB chip (S, S, 3)."""
        corrupted = degrade(chip, self.own_corruption(image_id))
        return View(self.mix_seed, self.flip).apply(corrupted, image_id)


def corrupted_images(ids: Sequence[str], identities: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Which photographs are corrupted, bool (N,): as good as exactly ``share`` of every person's.

    Every photograph has a number from ``seed`` and its name; of a person with n photographs the ``floor(share n + u)``
    with the lowest numbers are taken, u in [0, 1) from ``seed`` and the person's name. So a count is the exact share
    rounded down or up, up as often as the share overall needs (of people with one photograph, that share is
    corrupted); and whatever is corrupted at a share is corrupted at every higher one.

    Raises:
        ValueError: share outside [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be in [0, 1]. Got {share} instead.")
    number = np.array([_uniform(seed, name) for name in ids])
    people, person = np.unique(np.asarray(identities), return_inverse=True)
    order = np.lexsort((number, person))
    count = np.bincount(person, minlength=len(people))
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids)) - np.repeat(np.cumsum(count) - count, count)
    up = np.array([_uniform(seed, f"person {name}") for name in people.tolist()])
    chosen = np.floor(share * count + up + 1e-9).astype(np.int64)  # 1e-9: .3 x 10 is to count as 3
    return np.asarray(rank < chosen[person])


def _uniform(seed: int, name: str) -> float:
    """In [0, 1)."""
    return image_seed(seed, f"corrupted {name}") / 2**63
