"""PFE: the mutual likelihood of genuine pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from faceunc.heads.build import SingleHead
from faceunc.losses.mutual_likelihood import mutual_likelihood_loss
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective


class PFEObjective(Objective):
    """Shi & Jain, ICCV 2019, eq. 6."""

    def __init__(self, lr_factor: float = 1.0) -> None:
        super().__init__()
        self.lr_factor = lr_factor

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's loss, averaged."""
        return mutual_likelihood_loss(batch.mean, member_outputs(head, batch.pooled), batch.pairs), {}

    @torch.no_grad()
    def validate(self, head: SingleHead, batch: Batch) -> float:
        """The loss of the head as it is used, its members averaged."""
        return float(mutual_likelihood_loss(batch.mean, head.from_pooled(batch.pooled), batch.pairs))
