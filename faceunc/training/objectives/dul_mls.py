"""DUL's mean with PFE's variance: the mean learns to be classified, the variance to explain genuine pairs."""

from __future__ import annotations

from torch import Tensor

from faceunc.heads.build import SingleHead
from faceunc.losses.mutual_likelihood import mutual_likelihood_loss
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.dul_cls import DULClassificationObjective


class DULMutualObjective(DULClassificationObjective):
    """DUL_cls for the mean, and for the variance the mutual likelihood loss about that mean, which it does not move.

    In DUL_cls the noise is smallest where it would do most harm, near the boundary between classes; with few training
    people that is on the poor photographs. Here the noise that is sampled is the variance of genuine pairs. Training
    stops by the mean alone, as in DUL_cls; what the variance then lacks is set by the refit.
    """

    noise_learns = False

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """DUL_cls with the noise as it is, plus each member's mutual likelihood loss with the mean as it is."""
        loss, parts = super().forward(head, batch)
        mean = head.embed(batch.pooled, batch.mean)[0].detach()
        mutual = mutual_likelihood_loss(mean, member_outputs(head, batch.pooled), batch.pairs)
        return loss + mutual, {**parts, "mutual likelihood": float(mutual.detach())}
