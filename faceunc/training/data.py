"""Cached features made ready for training a head: pooled once, with who and what is on every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.heads.build import Head
from faceunc.images.degrade import KINDS
from faceunc.images.views import View
from faceunc.training.cache import Features, FeatureSource

_BLOCK = 1024
TRAIN_VIEWS = (View(), View(mix_seed=1), View(mix_seed=2), View(mix_seed=3))
KIND_NAMES = ("none", *KINDS)


@dataclass(frozen=True)
class TrainingData:
    """V views of N photographs.

    Attributes:
        pooled: (V, N, P) float32 (or float16 when a head pools nothing away), input of the head's learned part.
        mean: (V, N, D) float32, L2-normalised, frozen.
        person: int64 (N,), code of the person; people: the names, indexed by it.
        usable: bool (N,), False where no face was found or the photograph could not be read.
        severity: float64 (V, N), in [0, 1]; 0 in a clean view.
        kind: int64 (V, N), index into :data:`KIND_NAMES`.
        norm, sharpness: float32 (V, N), trivial quality measures. face_size: float32 (N,), pixels.
        origin: names data, backbone and alignment that the numbers come from; a checkpoint belongs to one origin.
    """

    pooled: Tensor
    mean: Tensor
    person: NDArray[np.int64]
    people: list[str]
    usable: NDArray[np.bool_]
    severity: NDArray[np.float64]
    kind: NDArray[np.int64]
    norm: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    face_size: NDArray[np.float32]
    origin: str = ""

    def rows_of(self, people: set[str]) -> NDArray[np.int64]:
        """Usable photographs of these people."""
        wanted = np.array([name in people for name in self.people])
        return np.flatnonzero(wanted[self.person] & self.usable)


def training_data(source: FeatureSource, views: Sequence[View], head: Head, show: bool | None = None) -> TrainingData:
    """Load (or compute) the features of ``views`` and pool them as ``head`` does.

    The cache is read by memory map, a block at a time: beyond what is returned, memory is one block.
    """
    features = source.features(views, show)
    people, person = np.unique(source.photos.identities, return_inverse=True)
    degradations = [[view.degradation(name) for name in source.photos.ids] for view in views]
    return TrainingData(
        pooled=_pooled([features[view] for view in views], head),
        mean=torch.from_numpy(np.stack([features[view].mean for view in views])),
        person=person.astype(np.int64),
        people=people.tolist(),
        usable=source.landmarks.state == 0,
        severity=np.array([[d.severity for d in row] for row in degradations]),
        kind=np.array([[KIND_NAMES.index(d.kind) for d in row] for row in degradations]),
        norm=np.stack([features[view].norm for view in views]),
        sharpness=np.stack([features[view].sharpness for view in views]),
        face_size=source.landmarks.face_size,
        origin=source.folder(View()).parent.name,
    )


def _pooled(features: Sequence[Features], head: Head) -> Tensor:
    """Each view pooled, straight into the tensor (V, N, P) that training reads."""
    views: Tensor | None = None
    for number, view in enumerate(features):
        for rows, block in _pooled_blocks(view, head):
            if views is None:
                views = torch.empty(len(features), len(view), block.shape[1], dtype=block.dtype)
            views[number, rows] = block
    if views is None:
        raise ValueError("features must be of at least one view of one photograph. Got none instead.")
    return views


def pool_features(features: Features, head: Head) -> Tensor:
    """The head's fixed pooling over a whole view, block by block: (N, P); float16 where nothing was pooled away."""
    return _pooled([features], head)[0]


@torch.no_grad()
def _pooled_blocks(features: Features, head: Head) -> Iterator[tuple[slice, Tensor]]:
    keep = torch.float16 if head.keeps_map else torch.float32
    for start in range(0, len(features), _BLOCK):
        rows = slice(start, start + _BLOCK)
        feature_map = torch.from_numpy(features.feature_map[rows].astype(np.float32))
        yield rows, head.pool(feature_map, torch.from_numpy(np.array(features.norm[rows]))).to(keep)
