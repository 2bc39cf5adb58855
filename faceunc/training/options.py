"""How a head is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainOptions:
    """How a head is trained. The defaults are for a few thousand photographs.

    Attributes:
        steps: most optimiser steps. people, images: identities a batch, photographs each.
        lr, weight_decay: of AdamW, with a cosine schedule over ``steps``.
        validation: share of the training identities that is held out. check_every: steps between validations.
        patience: validations without improvement before training stops.
        seed: fixes the split, the batches, the initial weights and the dropout.
    """

    steps: int = 1500
    people: int = 64
    images: int = 4
    lr: float = 1e-3
    weight_decay: float = 1e-4
    validation: float = 0.15
    check_every: int = 100
    patience: int = 4
    seed: int = 0
