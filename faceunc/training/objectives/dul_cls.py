"""DUL_cls: classification of a sampled embedding, with a KL regulariser on its distribution."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.heads.build import SingleHead
from faceunc.heads.moving import MovingHead
from faceunc.losses.kl import kl_to_standard_normal
from faceunc.losses.margin import MarginHead
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective, mean_loss

_VALIDATION_SCALE = 20.0


class DULClassificationObjective(Objective):
    """Chang et al., CVPR 2020, section 3.2: ``z = mu + eps sigma``, margin softmax on z, plus ``kl_weight`` x KL.

    mu is the head's raw mean, of length about sqrt(D); sigma is relative to that length (see :class:`MovingHead`), so
    that the KL term, the sum over dimensions by default, sees variances near 1 at ordinary noise.
    Validation is identification among held-out people by the moved means: cross-entropy of the genuine partner against
    all other people of the batch at a fixed scale.
    """

    refit = True
    noise_learns = True  # from the classification of samples, and from KL

    def __init__(
        self,
        classifier: str = "cosface",
        margin: float = 0.2,
        scale: float = 32.0,
        kl_weight: float = 0.001,
        kl_reduction: str = "sum",
    ) -> None:
        super().__init__()
        self.classifier, self.margin, self.scale = classifier, margin, scale
        self.kl_weight, self.kl_reduction = kl_weight, kl_reduction

    def options(self) -> dict[str, Any]:
        """Classifier, margin (cosine for cosface, radians for arcface), scale, KL."""
        return {
            "classifier": self.classifier,
            "margin": self.margin,
            "scale": self.scale,
            "kl_weight": self.kl_weight,
            "kl_reduction": self.kl_reduction,
        }

    def prepare(self, prototypes: Tensor) -> None:
        """The classifier over the training people; it begins at their mean embeddings, where it classifies already.

        From random weights any noise hurts, and sigma would collapse before the classifier has learned anything.
        """
        classes, dim = prototypes.shape
        self.classes = MarginHead(dim, classes, self.classifier, margin=self.margin, scale=self.scale)
        with torch.no_grad():
            self.classes.weight.copy_(prototypes)

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's sample is classified; classification loss, KL, mean log_var for the log."""
        if not isinstance(head, MovingHead):
            raise TypeError("DUL_cls needs a head that moves the mean")
        mean = head.raw_mean(batch.pooled, batch.mean)
        length = mean.norm(dim=1, keepdim=True)
        losses, parts = [], {"classification": 0.0, "KL": 0.0, "mean log_var": 0.0}
        outputs = member_outputs(head, batch.pooled)
        for relative in outputs:
            relative = relative if self.noise_learns else relative.detach()
            log_var = relative + 2.0 * length.log()
            sample = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var)
            terms = {
                "classification": F.cross_entropy(self.classes(F.normalize(sample, dim=1), batch.person), batch.person),
                "KL": kl_to_standard_normal(mean, log_var, self.kl_reduction).mean(),
                "mean log_var": relative.mean(),
            }
            losses.append(terms["classification"] + self.kl_weight * terms["KL"])
            for name, value in terms.items():
                parts[name] += float(value.detach()) / len(outputs)
        return mean_loss(losses), parts

    @torch.no_grad()
    def validate(self, head: SingleHead, batch: Batch) -> float:
        """Identification among held-out people, see the class."""
        mean, _ = head.embed(batch.pooled, batch.mean)
        logits = _VALIDATION_SCALE * mean @ mean.T
        same = batch.person[:, None] == batch.person[None, :]
        others = torch.logsumexp(logits.masked_fill(same, -math.inf), 1)
        first, second = torch.cat([batch.pairs, batch.pairs.flip(1)]).T
        genuine = logits[first, second]
        if not bool(torch.isfinite(others).all()):  # a single person held out: nobody to be told from
            return float(-genuine.mean())
        return float((torch.logaddexp(genuine, others[first]) - genuine).mean())
