"""How far apart the variances of good and poor images should lie: one factor, fitted on held-out identities.

A regularised head is timid: dropout and early stopping pull log_var towards its mean. The likelihood of genuine pairs
hardly notices, verification does. So log_var is stretched about its mean by the factor at which the mutual likelihood
score separates the held-out people best: a rescaling of the kind that PFE's followers fit, here in logarithms.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.heads.build import SingleHead
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.scoring.all_pairs import mls_matrix
from faceunc.training.data import TrainingData

CANDIDATES = (1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
TARGETS = (1e-1, 1e-2, 1e-3)
_ROWS = 800
_MIN_PEOPLE = 20


def fit_spread(head: SingleHead, data: TrainingData, people: list[str], seed: int) -> dict[str, float]:
    """Set ``spread`` and ``centre`` of the head's config from held-out people; returns the criterion of each candidate.

    The criterion is the geometric mean of FNMR at FMR 1e-1 to 1e-3 among all pairs of up to 800 photographs: first view
    (the clean one) against a random other view, and two random other views, with equal weight. Nothing is fitted with
    fewer than 20 people that have two photographs, or with a single view.
    """
    rows = _photographs(data, people, seed)
    if len(np.unique(data.person[rows])) < _MIN_PEOPLE or len(data.pooled) < 2:
        return {}
    person = data.person[rows]
    different = ~np.eye(len(rows), dtype=bool)
    same = (person[:, None] == person[None, :])[different]
    clean, other, third = _sides(head, data, rows, seed)
    centre = float(np.concatenate([side.log_var for side in (clean, other, third)]).mean())
    criterion = {}
    for spread in CANDIDATES:
        matrices = [_all_pairs(*sides, spread, centre) for sides in ((clean, other), (other, third))]
        scores = [sort_scores(matrix[different], same) for matrix in matrices]
        fnmr = [1.0 - one.tar_at_far(target).tar for one in scores for target in TARGETS]
        criterion[spread] = float(np.exp(np.mean(np.log(np.maximum(fnmr, 1e-4)))))
    best = min(CANDIDATES, key=lambda spread: (criterion[spread], spread))
    head.config = replace(head.config, spread=best, centre=centre)
    return {f"{spread:g}": value for spread, value in criterion.items()}


def _photographs(data: TrainingData, people: list[str], seed: int) -> NDArray[np.int64]:
    """Up to 800 photographs of people with two or more."""
    rows = data.rows_of(set(people))
    counts = np.bincount(data.person[rows], minlength=len(data.people))
    rows = rows[counts[data.person[rows]] > 1]
    return np.random.default_rng([seed, 4]).permutation(rows)[:_ROWS]


@torch.no_grad()
def _sides(head: SingleHead, data: TrainingData, rows: NDArray[np.int64], seed: int) -> list[Embeddings]:
    """The first view, and twice a random other view of every photograph."""
    rng = np.random.default_rng([seed, 5])
    others = [rng.integers(1, len(data.pooled), len(rows)) for _ in range(2)]
    index, sides = torch.from_numpy(rows), []
    for chosen in (np.zeros(len(rows), np.int64), *others):
        view = torch.from_numpy(chosen)
        mean, log_var = head.embed(data.pooled[view, index].float(), data.mean[view, index])
        sides.append(Embeddings(mean.numpy(), log_var.numpy(), [str(row) for row in rows]))
    return sides


def _all_pairs(left: Embeddings, right: Embeddings, spread: float, centre: float) -> NDArray[np.float32]:
    """MLS of everything against everything, log_var stretched by ``spread``."""
    one, other = (replace(side, log_var=centre + spread * (side.log_var - centre)) for side in (left, right))
    return mls_matrix(one, other)
