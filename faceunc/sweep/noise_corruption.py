"""The corruption of training data: a share of every person's photographs made poor, or given to somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.images.views import View
from faceunc.sweep.noise_labels import exchange_labels
from faceunc.sweep.noise_views import IMAGE_KINDS, CorruptView, corrupted_images
from faceunc.training.data import TrainingData
from faceunc.training.loop import TrainOptions, split_people

KINDS = (*IMAGE_KINDS, "labels")
_VERSION = 1  # raise it when other photographs are chosen, or something else is done to them


@dataclass(frozen=True)
class PoorPhotographs:
    """A share of the photographs of everybody is replaced by its corrupted version, in every view.

    Attributes:
        kind: one of :data:`IMAGE_KINDS`. share: in [0, 1]. seed: decides which photographs.
    """

    kind: str
    share: float
    seed: int

    def identity(self) -> list[Any]:
        """All that it depends on."""
        return [_VERSION, "photographs", CorruptView(corruption=self.kind).name, self.share, self.seed]

    def views(self, views: Sequence[View]) -> list[View]:
        """The views as they are, then those of the corrupted photographs."""
        return [*views, *(CorruptView(view.mix_seed, view.flip, self.kind) for view in views)]

    def corrupted(
        self, data: TrainingData, ids: Sequence[str], people: set[str], options: TrainOptions
    ) -> TrainingData:
        """Half as many views: each photograph as it is, or corrupted, the same in all of them."""
        identities = [data.people[code] for code in data.person]
        chosen = corrupted_images(ids, identities, self.share, self.seed)
        return replace(
            data,
            pooled=_tensor_rows(data.pooled, chosen),
            mean=_tensor_rows(data.mean, chosen),
            severity=_rows(data.severity, chosen),
            kind=_rows(data.kind, chosen),
            norm=_rows(data.norm, chosen),
            sharpness=_rows(data.sharpness, chosen),
        )


@dataclass(frozen=True)
class WrongLabels:
    """A share of the photographs of everybody carries the name of somebody else whom the head is trained on.

    Training and held-out people (by whom training stops) are told apart by who they really are, and labels are
    exchanged inside each side: nothing of a held-out person is trained on, and the held-out side is as wrong as the
    other, for whoever has wrong labels has them there as well.

    Attributes:
        share: in [0, 1]. seed: decides which photographs, and whose names they get.
    """

    share: float
    seed: int

    def identity(self) -> list[Any]:
        """All that it depends on."""
        return [_VERSION, "labels", self.share, self.seed]

    def views(self, views: Sequence[View]) -> list[View]:
        """The same."""
        return list(views)

    def corrupted(
        self, data: TrainingData, ids: Sequence[str], people: set[str], options: TrainOptions
    ) -> TrainingData:
        """The same photographs with other people's codes."""
        identities = [data.people[code] for code in data.person]
        chosen = corrupted_images(ids, identities, self.share, self.seed)
        person = data.person
        for side in split_people(people, options.validation, options.seed):
            mine = data.rows_of(set(side))
            person = exchange_labels(person, mine[chosen[mine]], self.seed)
        return replace(data, person=person)


def make_corruption(kind: str, share: float, seed: int) -> PoorPhotographs | WrongLabels | None:
    """The corruption of a cell of the sweep; None for a share of 0, which is plain training.

    Raises:
        ValueError: unknown kind, share outside [0, 1].
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}. Got {kind!r} instead.")
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"share must be in [0, 1]. Got {share} instead.")
    if share == 0.0:
        return None
    return WrongLabels(share, seed) if kind == "labels" else PoorPhotographs(kind, share, seed)


def _rows(values: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """(2 V, N) -> (V, N): the second half of the views where ``chosen`` (N,)."""
    half = len(values) // 2
    return np.where(chosen, values[half:], values[:half])


def _tensor_rows(values: Tensor, chosen: NDArray[np.bool_]) -> Tensor:
    """(2 V, N, K) -> (V, N, K)."""
    half = len(values) // 2
    return torch.where(torch.from_numpy(chosen)[:, None], values[half:], values[:half])
