"""ScaleFace: the scale of the margin softmax, learned photograph by photograph, is the confidence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.heads.build import SingleHead
from faceunc.losses.margin import cosface_logits
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective, mean_loss

_SCALES = (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)


class ScaleFaceObjective(Objective):
    """Cross-entropy of ``scale(x) * cosine`` against the class centres of the batch (Kail et al., 2022).

    log_var is -log(scale), up to the refit after training. The classes are the people of the batch, represented by
    their frozen centres, so that held-out people can be classified likewise. All scales begin at the one number that
    classifies the first batch best: what cosines of two people are like differs between backbones.
    """

    refit = True
    start: Tensor

    def __init__(self, centres: str = "means", margin: float = 0.0) -> None:
        super().__init__()
        self.centres, self.margin = centres, margin
        self.register_buffer("start", torch.tensor(0.0))  # 0: not chosen yet

    def options(self) -> dict[str, Any]:
        """Kind of centres, margin in cosine."""
        return {"centres": self.centres, "margin": self.margin}

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's cross-entropy; the mean scale for the log."""
        cosine, target = _cosines(batch)
        if float(self.start) == 0.0:
            losses = [F.cross_entropy(cosface_logits(cosine, target, self.margin, scale), target) for scale in _SCALES]
            self.start.fill_(_SCALES[int(torch.stack(losses).argmin())])
        members, scales = [], []
        for log_var in member_outputs(head, batch.pooled):
            scale = self.start * torch.exp(head.config.bias - log_var[:, 0])
            members.append(F.cross_entropy(cosface_logits(cosine, target, self.margin, scale), target))
            scales.append(float(scale.detach().mean()))
        return mean_loss(members), {"scale": sum(scales) / len(scales)}


def _cosines(batch: Batch) -> tuple[Tensor, Tensor]:
    """(cosine (B, people of the batch), target (B,)); a person's centre is that of the first photograph here.

    Every photograph's own column holds the centre that leaves the photograph itself out.
    """
    people, target = torch.unique(batch.person, return_inverse=True)
    rows = torch.arange(len(target))
    first = torch.full((len(people),), len(target)).scatter_reduce_(0, target, rows, "amin", include_self=True)
    own = (batch.mean * batch.centre).sum(1)
    return (batch.mean @ batch.centre[first].T).scatter(1, target[:, None], own[:, None]), target
