"""ProbFace: a scalar variance without PFE's factor D on its logarithm, a regulariser, and a triplet term."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from faceunc.heads.build import SingleHead
from faceunc.losses.probface import probface_pair_loss, uncertainty_triplet_loss, variance_regulariser
from faceunc.training.batches import Batch
from faceunc.training.members import member_outputs
from faceunc.training.objectives.base import Objective, mean_loss


class ProbFaceObjective(Objective):
    """Pair term + ``regulariser`` x its regulariser + ``triplet`` x semi-hard triplets (Chen et al., 2021).

    Its variance is about D times that of one dimension; the refit after training puts it in PFE's units. The
    multi-layer input of the paper is not offered: heads here read the backbone's last map alone.
    """

    refit = True

    def __init__(self, regulariser: float = 0.001, triplet: float = 0.001, margin: float = 3.0) -> None:
        super().__init__()
        self.regulariser, self.triplet, self.margin = regulariser, triplet, margin

    def options(self) -> dict[str, Any]:
        """The weights of the terms."""
        return {"regulariser": self.regulariser, "triplet": self.triplet, "margin": self.margin}

    def level(self, dim: int) -> float:
        """Its variance is that of the whole distance, not of one dimension."""
        return math.log(dim)

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Each member's three terms."""
        losses, parts = [], {"pair": 0.0, "regulariser": 0.0, "triplet": 0.0}
        outputs = member_outputs(head, batch.pooled)
        for log_var in outputs:
            terms = {
                "pair": probface_pair_loss(batch.mean, log_var, batch.pairs),
                "regulariser": variance_regulariser(log_var),
                "triplet": uncertainty_triplet_loss(batch.mean, log_var, batch.person, self.margin),
            }
            losses.append(terms["pair"] + self.regulariser * terms["regulariser"] + self.triplet * terms["triplet"])
            for name, value in terms.items():
                parts[name] += float(value.detach()) / len(outputs)
        return mean_loss(losses), parts
