"""The deterministic counterpart of DUL_cls: the moved mean itself is classified, no noise, no regulariser."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from faceunc.heads.build import SingleHead
from faceunc.heads.moving import MovingHead
from faceunc.training.batches import Batch
from faceunc.training.objectives.dul_cls import DULClassificationObjective


class SoftmaxObjective(DULClassificationObjective):
    """Margin softmax on the mean: DUL_cls with sigma = 0, its classifier, its start and its validation (Chang et al.,
    CVPR 2020, compare with it as the baseline).

    The network of the variance gets no gradient and keeps saying the one number that it began with; the refit after
    training makes it the variance of genuine pairs about the moved means. So log_var is a constant: all photographs are
    equally certain, the MLS ranks pairs as the cosine does, and fusion is the plain mean.
    """

    noise_learns = False

    def __init__(self, classifier: str = "cosface", margin: float = 0.2, scale: float = 32.0) -> None:
        super().__init__(classifier, margin, scale, kl_weight=0.0)

    def options(self) -> dict[str, Any]:
        """Classifier, margin, scale."""
        return {"classifier": self.classifier, "margin": self.margin, "scale": self.scale}

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The classification loss of the mean."""
        if not isinstance(head, MovingHead):
            raise TypeError("a deterministic softmax needs a head that moves the mean")
        mean = F.normalize(head.raw_mean(batch.pooled, batch.mean), dim=1)
        loss = F.cross_entropy(self.classes(mean, batch.person), batch.person)
        return loss, {"classification": float(loss.detach())}
