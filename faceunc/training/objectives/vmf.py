"""SCF: the concentration of a von Mises-Fisher distribution about the class centre."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from faceunc.heads.build import SingleHead
from faceunc.losses.vmf import vmf_loss
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective, mean_loss


class VMFObjective(Objective):
    """Likelihood of the class centre under vMF(mean, kappa), kappa = exp(-log_var) (Li et al., CVPR 2021, eq. 8).

    1 / kappa is the variance of a direction in the tangent plane, dimension by dimension, where kappa is large: so the
    head's log_var is -log kappa, and PFE's score may read it too; the score of its own is "vmf". Trained against
    centres, it is refitted to pairs: kappa holds the centre's own error, which the photographs of a pair do not have.
    """

    refit = True

    def __init__(self, centres: str = "means") -> None:
        super().__init__()
        self.centres = centres

    def options(self) -> dict[str, Any]:
        """The kind of centres."""
        return {"centres": self.centres}

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's loss."""
        cosine = (batch.mean * batch.centre).sum(1)
        outputs = member_outputs(head, batch.pooled)
        return mean_loss([vmf_loss(cosine, -log_var[:, 0], batch.mean.shape[1]).mean() for log_var in outputs]), {}
