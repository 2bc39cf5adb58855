"""What an objective sees of a step: the tensors of the sampler's rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.losses.mutual_likelihood import genuine_pairs
from faceunc.training.data import TrainingData
from faceunc.training.sampler import BalancedSampler


@dataclass(frozen=True)
class Batch:
    """One batch of B photographs, each in one view.

    Attributes:
        pooled: (B, P). mean: (B, D), frozen. pairs: (K, 2), genuine pairs of different photographs.
        person: (B,), position of the person among those of the batches' side (training, or held out).
        centre: (B, D), L2-normalised class centre of each row; empty (0, D) for objectives without centres.
    """

    pooled: Tensor
    mean: Tensor
    pairs: Tensor
    person: Tensor
    centre: Tensor


class Batches:
    """Batches of the photographs of ``people``; number t is a pure function of t."""

    def __init__(
        self,
        data: TrainingData,
        people: list[str],
        per_batch: int,
        images: int,
        seed: int,
        centre: Tensor | None = None,
    ) -> None:
        self.data, self.centre = data, centre
        self.rows: NDArray[np.int64] = data.rows_of(set(people))
        self.sampler = BalancedSampler(data.person[self.rows].tolist(), per_batch, images, len(data.pooled), seed)
        paired = np.unique(np.concatenate([data.person[self.rows[group]] for group in self.sampler.groups]))
        self.code = np.full(len(data.people), -1, np.int64)
        self.code[paired] = np.arange(len(paired))
        self.classes = len(paired)

    def prototypes(self) -> Tensor:
        """(C, D): normalised mean of the first view's embeddings of each person with two photographs."""
        code = torch.from_numpy(self.code[self.data.person[self.rows]])
        known = code >= 0
        clean = self.data.mean[0, torch.from_numpy(self.rows)][known]
        total = torch.zeros(self.classes, clean.shape[1]).index_add_(0, code[known], clean)
        return torch.nn.functional.normalize(total, dim=1)

    def batch(self, step: int) -> Batch:
        """Batch ``step``."""
        local, view = self.sampler.batch(step)
        row, view_index = torch.from_numpy(self.rows[local]), torch.from_numpy(view)
        person = torch.from_numpy(self.data.person[self.rows[local]])
        pooled, mean = self.data.pooled[view_index, row].float(), self.data.mean[view_index, row]
        centre = mean[:0] if self.centre is None else self.centre[row]
        return Batch(pooled, mean, genuine_pairs(person, row), torch.from_numpy(self.code)[person], centre)
