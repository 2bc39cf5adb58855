"""Class centres of the frozen embeddings, for methods that regress to them: means, or weights of a margin softmax."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses.margin import MarginHead
from faceunc.training.data import TrainingData

CENTRES = ("means", "weights")
_STEPS, _BATCH = 1000, 512


def class_centres(data: TrainingData, people: list[str], kind: str, seed: int) -> Tensor:
    """The centre that each photograph is drawn to, (N, D), L2-normalised; zero rows for photographs of others.

    Everything happens on the unit sphere: embeddings, centres, and later the regression.

    Args:
        people: only their photographs are used; those with a single photograph have no centre.
        kind: "means": normalised mean of the person's OTHER photographs, clean views (with the photograph itself in the
            mean, its distance would come out short, most of all for people with few photographs); "weights": rows of a
            CosFace classifier trained on the frozen embeddings of these people, all views; the photograph
            itself is among them, so distances come out somewhat short.
    """
    if kind not in CENTRES:
        raise ValueError(f"centres must be one of {', '.join(CENTRES)}. Got {kind!r} instead.")
    rows = data.rows_of(set(people))
    counts = np.bincount(data.person[rows], minlength=len(data.people))
    rows = rows[counts[data.person[rows]] > 1]
    return _means(data, rows) if kind == "means" else _weights(data, rows, seed)


def _means(data: TrainingData, rows: NDArray[np.int64]) -> Tensor:
    index, person = torch.from_numpy(rows), torch.from_numpy(data.person[rows])
    clean = data.mean[0, index]
    total = torch.zeros(len(data.people), clean.shape[1]).index_add_(0, person, clean)
    centre = torch.zeros_like(data.mean[0])
    centre[index] = F.normalize(total[person] - clean, dim=1)
    return centre


def _weights(data: TrainingData, rows: NDArray[np.int64], seed: int) -> Tensor:
    people, label = np.unique(data.person[rows], return_inverse=True)
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        head = MarginHead(data.mean.shape[2], len(people), "cosface", margin=0.2, scale=32.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    target, index = torch.from_numpy(label), torch.from_numpy(rows)
    for _ in range(_STEPS):
        chosen = torch.randint(len(rows), (_BATCH,), generator=generator)
        view = torch.randint(len(data.mean), (_BATCH,), generator=generator)
        loss = F.cross_entropy(head(data.mean[view, index[chosen]], target[chosen]), target[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    centre = torch.zeros_like(data.mean[0])
    centre[index] = F.normalize(head.weight.detach(), dim=1)[target]
    return centre
