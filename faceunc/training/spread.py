"""How far apart the variances of good and poor images should lie: one exponent, fitted on held-out identities.

A regularised head is timid: dropout and early stopping pull log_var towards its mean. The likelihood of genuine pairs hardly
notices, verification does. So log_var is stretched about its mean by the factor at which the mutual likelihood score
separates the held-out people best. A rescaling of the kind that PFE's followers fit (temperature, floor), in log space.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceunc.heads.pfe import PFEHead
from faceunc.metrics.verification import tar_at_far
from faceunc.scoring.mls import mutual_likelihood_score
from faceunc.training.data import TrainingData

CANDIDATES = (1.0, 1.15, 1.3, 1.45, 1.6)
TARGETS = (1e-2, 1e-3, 1e-4)
_ROWS = 1200


def fit_spread(head: PFEHead, data: TrainingData, people: list[str], seed: int) -> dict[str, float]:
    """Set ``spread`` and ``centre`` of the head's config from held-out people; returns the mean FNMR of each candidate.

    The criterion is the mean FNMR over FMR 1e-2 to 1e-4 among all pairs of up to 1,200 photographs, each in a random view.
    Nothing is fitted when there are too few people for it (fewer than 20 with two photographs).
    """
    rows, person, mean, log_var = _sample(head, data, people, seed)
    first, second = np.triu_indices(len(rows), 1)
    same = person[first] == person[second]
    if len(np.unique(person[first][same])) < 20:
        return {}
    centre = float(log_var.mean())
    fnmr = {}
    for spread in CANDIDATES:
        scores = _all_pairs(mean, centre + spread * (log_var - centre))[first, second]
        fnmr[spread] = float(np.mean([1.0 - tar_at_far(scores, same, target).tar for target in TARGETS]))
    best = min(CANDIDATES, key=lambda spread: (fnmr[spread], spread))
    head.config = replace(head.config, spread=best, centre=centre)
    return {f"{spread:g}": value for spread, value in fnmr.items()}


@torch.no_grad()
def _sample(
    head: PFEHead, data: TrainingData, people: list[str], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Tensor, Tensor]:
    """Photographs of people with two or more, one random view each: (rows, person, mean, log_var)."""
    rng = np.random.default_rng([seed, 4])
    rows = data.rows_of(set(people))
    counts = np.bincount(data.person[rows])
    rows = rng.permutation(rows[counts[data.person[rows]] > 1])[:_ROWS]
    view = torch.from_numpy(rng.integers(0, len(data.pooled), len(rows)))
    index = torch.from_numpy(rows)
    return rows, data.person[rows], data.mean[view, index], head.from_pooled(data.pooled[view, index].float())


def _all_pairs(mean: Tensor, log_var: Tensor) -> NDArray[np.float32]:
    blocks = [
        mutual_likelihood_score(mean[i : i + 32, None], log_var[i : i + 32, None], mean[None], log_var[None])
        for i in range(0, len(mean), 32)
    ]
    return torch.cat(blocks).numpy()
