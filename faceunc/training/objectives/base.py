"""What the training loop asks of a method."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from faceunc.heads.build import SingleHead
from faceunc.training.batches import Batch


class Objective(nn.Module):
    """A loss with its options, and perhaps parameters of its own (a classifier) that are thrown away after training.

    Attributes:
        centres: kind of class centres that the batches carry ("means", "weights"), "" for none.
        refit: True when log_var is not fitted as the variance of genuine pairs; shift and factor are then fitted on
            held-out people after training, so that scores and fusion may read it as one.
        lr_factor: the learning rate is multiplied by it.
    """

    centres: str = ""
    refit: bool = False
    lr_factor: float = 1.0

    def options(self) -> dict[str, Any]:
        """JSON-ready: all that its loss depends on."""
        return {"centres": self.centres} if self.centres else {}

    def level(self, dim: int) -> float:
        """Where log_var should begin, above the best single variance of one dimension."""
        return 0.0

    def prepare(self, prototypes: Tensor) -> None:
        """Make the parameters of its own; called once, after the seed was set.

        ``prototypes``: (C, D), L2-normalised mean of the frozen clean embeddings of each training person.
        """

    def forward(self, head: SingleHead, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """The loss of a training step, and its parts for the log."""
        raise NotImplementedError

    @torch.no_grad()
    def validate(self, head: SingleHead, batch: Batch) -> float:
        """The loss on people that were held out; lower = better. By default the training loss in eval mode."""
        return float(self(head, batch)[0])


def mean_loss(losses: list[Tensor]) -> Tensor:
    """Every member of a head learns for itself."""
    return torch.stack(losses).mean()
