"""The deterministic counterpart of DUL_cls: its loss without noise, and a constant variance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_family import DIM, NAMES, OPTIONS, PHOTOS, SEEN, Pretend, data_for, recipe_of
from torch.nn.functional import normalize

from faceunc.embeddings import Embeddings
from faceunc.heads.moving import MovingConfig, MovingHead
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.heads.store import load_head, save_head
from faceunc.scoring.embedded import score_pairs
from faceunc.training.batches import Batch
from faceunc.training.collapse import predict
from faceunc.training.ensemble import train_recipe
from faceunc.training.objectives.dul_cls import DULClassificationObjective
from faceunc.training.objectives.softmax import SoftmaxObjective


def batch_of(rows: int, classes: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    pooled = torch.randn(rows, 12, generator=generator)
    mean = normalize(torch.randn(rows, DIM, generator=generator), dim=1)
    return Batch(pooled, mean, torch.zeros(0, 2, dtype=torch.long), torch.arange(rows) % classes, mean[:0])


@pytest.mark.parametrize(("classifier", "margin"), [("softmax", 0.0), ("cosface", 0.2), ("arcface", 0.3)])
def test_is_dul_cls_without_noise(classifier: str, margin: float) -> None:
    """With a vanishing variance and no regulariser DUL_cls has the same loss and the same gradient."""
    batch = batch_of(20, 5)
    head = MovingHead(MovingConfig((6, 1, 1), DIM, variance="scalar", hidden=4, bias=-80.0)).eval()
    prototypes = normalize(torch.randn(5, DIM, generator=torch.Generator().manual_seed(1)), dim=1)
    gradients, losses = [], []
    for objective in (
        SoftmaxObjective(classifier, margin, 16.0),
        DULClassificationObjective(classifier, margin, 16.0, kl_weight=0.0),
    ):
        objective.prepare(prototypes)
        head.zero_grad()
        loss = objective(head, batch)[0]
        loss.backward()
        losses.append(loss.detach())
        gradients.append(head.mix.weight.grad.clone())  # type: ignore[union-attr]
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert float(gradients[0].abs().max()) > 1e-3


def test_trains_the_mean_and_leaves_one_variance_that_survives_the_disk(tmp_path: Path) -> None:
    recipe = recipe_of("softmax")
    data, _ = data_for(recipe)
    trained = train_recipe(data, SEEN, recipe, replace(OPTIONS, steps=60))
    assert trained.history[-1]["classification"] < trained.history[0]["classification"]
    assert sorted(trained.train_people + trained.validation_people) == SEEN
    save_head(tmp_path / "h.safetensors", trained.head, Pretend.spec, {}, recipe.method)
    stored = load_head(tmp_path / "h.safetensors")
    assert (stored.method, stored.head.moves_mean) == ("softmax", True)
    mean, log_var = predict(stored.head, data)
    assert log_var.shape[2] == 1
    assert np.ptp(log_var) == 0.0
    np.testing.assert_array_equal(mean, predict(trained.head, data)[0])
    assert np.abs(mean - data.mean.numpy()).max() > 0.01


def test_likelihood_ranks_as_the_cosine() -> None:
    recipe = recipe_of("softmax")
    data, _ = data_for(recipe)
    mean, log_var = predict(train_recipe(data, SEEN, recipe, replace(OPTIONS, steps=20)).head, data)
    both = Embeddings(mean[0], log_var[0], [str(row) for row in range(len(NAMES) * PHOTOS)])
    first, second = both[:200], both[200:400]
    order = np.argsort(score_pairs(first, second, "cosine"))
    assert (np.diff(score_pairs(first, second, "mls")[order]) > -1e-3).all()


def test_needs_a_head_that_moves_the_mean() -> None:
    objective = SoftmaxObjective()
    objective.prepare(torch.eye(DIM))
    with pytest.raises(TypeError, match="moves the mean"):
        objective(PFEHead(PFEConfig((6, 1, 1), DIM)), batch_of(4, 2))
