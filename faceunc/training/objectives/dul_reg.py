"""DUL_reg: regression to the class centre with a variance that depends on the photograph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.heads.build import SingleHead
from faceunc.heads.moving import MovingHead
from faceunc.losses.class_centre import class_centre_loss
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective, mean_loss


class DULRegressionObjective(Objective):
    """Chang et al., CVPR 2020, section 3.3; embeddings and centres both on the unit sphere.

    With a :class:`MovingHead` the mean learns too, at once with the variance (what DUL_reg adds over PFE).
    """

    def __init__(self, centres: str = "means") -> None:
        super().__init__()
        self.centres = centres
        self.refit = True  # the mean that is used goes a part of the way only, see MovingConfig

    def options(self) -> dict[str, Any]:
        """The kind of centres."""
        return {"centres": self.centres}

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's loss; the squared distance to the centre for the log."""
        mean = batch.mean
        if isinstance(head, MovingHead):
            mean = F.normalize(head.raw_mean(batch.pooled, batch.mean), dim=1)
        outputs = member_outputs(head, batch.pooled)
        loss = mean_loss([class_centre_loss(mean, log_var, batch.centre) for log_var in outputs])
        distance = (mean - batch.centre).square().sum(1).mean()
        return loss, {"squared distance": float(distance.detach())}

    @torch.no_grad()
    def validate(self, head: SingleHead, batch: Batch) -> float:
        """The loss of the head as it is used: the mean that it gives, its members averaged."""
        return float(class_centre_loss(*head.embed(batch.pooled, batch.mean), batch.centre))
