from __future__ import annotations

import numpy as np
import pytest
import torch

from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.training.data import TrainingData
from faceunc.training.spread import CANDIDATES, fit_spread

PEOPLE, EACH, DIM = 60, 4, 16


def data_with(stretch: float) -> tuple[TrainingData, PFEHead]:
    """Faces whose true log variance is readable from the feature, and a head that says it timidly, by 1/stretch."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(PEOPLE), EACH)
    centres = rng.standard_normal((PEOPLE, DIM))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    log_var = np.stack([np.full(len(person), -7.0), *(rng.uniform(-6, -1, len(person)) for _ in range(3))])
    mean = centres[person] + rng.standard_normal((4, len(person), DIM)) * np.exp(0.5 * log_var)[..., None]
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    head = PFEHead(PFEConfig((1, 1, 1), DIM, "pooled", "scalar", hidden=1, members=1)).eval()
    head.bodies = torch.nn.ModuleList([torch.nn.Linear(2, 1)])
    with torch.no_grad():
        head.bodies[0].weight[:] = torch.tensor([[1.0 / stretch, 0.0]])
        head.bodies[0].bias.fill_(-4.0 * (1 - 1 / stretch))
    pooled = torch.from_numpy(np.stack([log_var, np.zeros_like(log_var)], -1)).float()
    zeros = np.zeros(log_var.shape)
    return (
        TrainingData(
            pooled,
            torch.from_numpy(mean).float(),
            person,
            [f"p{i}" for i in range(PEOPLE)],
            np.ones(len(person), bool),
            zeros,
            np.zeros(log_var.shape, np.int64),
            zeros.astype(np.float32),
            zeros.astype(np.float32),
            np.ones(len(person), np.float32),
        ),
        head,
    )


def test_a_timid_head_is_stretched_more_than_an_honest_one() -> None:
    chosen = []
    for stretch in (1.0, 6.0):
        data, head = data_with(stretch)
        criterion = fit_spread(head, data, data.people, seed=0)
        assert list(criterion) == [f"{c:g}" for c in CANDIDATES]
        assert criterion[f"{head.config.spread:g}"] == min(criterion.values())
        chosen.append(head.config.spread)
    assert chosen[1] > chosen[0]


def test_only_the_given_people_are_looked_at() -> None:
    data, head = data_with(1.5)
    people = data.people[:30]
    expected = fit_spread(head, data, people, seed=0)
    data.pooled[:, 30 * EACH :] = float("nan")
    _, again = data_with(1.5)
    assert fit_spread(again, data, people, seed=0) == pytest.approx(expected)


def test_too_few_people_fit_nothing() -> None:
    data, head = data_with(1.5)
    assert fit_spread(head, data, data.people[:10], seed=0) == {}
    assert head.config.spread == 1.0
