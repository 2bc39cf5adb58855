"""A head that moves the mean begins at the backbone's embedding, and speaks of variance on the unit sphere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faceunc.heads.moving import MovingConfig, MovingHead

SHAPE, DIM = (6, 3, 2), 5


def inputs(count: int = 9) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pooled = torch.randn(count, 2 * SHAPE[0], generator=generator)
    return pooled, torch.nn.functional.normalize(torch.randn(count, DIM, generator=generator), dim=1)


@pytest.mark.parametrize("variance", ["per-dimension", "scalar"])
def test_begins_at_the_backbones_mean(variance: str) -> None:
    head = MovingHead(MovingConfig(SHAPE, DIM, variance=variance, hidden=4)).eval()
    pooled, mean = inputs()
    moved, log_var = head.embed(pooled, mean)
    torch.testing.assert_close(moved, mean)
    assert log_var.shape == (9, DIM if variance == "per-dimension" else 1)
    torch.testing.assert_close(head.raw_mean(pooled, mean).norm(dim=1), torch.full((9,), DIM**0.5))


def test_from_scratch_forgets_the_backbones_mean() -> None:
    head = MovingHead(MovingConfig(SHAPE, DIM, start="scratch", hidden=4)).eval()
    pooled, mean = inputs()
    torch.testing.assert_close(head.embed(pooled, mean)[0], head.embed(pooled, -mean)[0])


def test_a_step_moves_it_and_it_stays_on_the_sphere() -> None:
    head = MovingHead(MovingConfig(SHAPE, DIM, hidden=4)).train()
    pooled, mean = inputs()
    target = mean.roll(1, 0)
    optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
    for _ in range(20):
        optimizer.zero_grad()
        (head.embed(pooled, mean)[0] - target).square().sum(1).mean().backward()
        optimizer.step()
    moved = head.eval().embed(pooled, mean)[0]
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(9))
    assert float((moved.detach() * target).sum(1).mean()) > float((mean * target).sum(1).mean()) + 0.2


def test_rescale_is_affine_in_log_var() -> None:
    head = MovingHead(MovingConfig(SHAPE, DIM, hidden=4, bias=-3.0)).eval()
    with torch.no_grad():
        for parameter in head.bodies.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    pooled, _ = inputs()
    before = torch.stack(head.member_outputs(pooled)).detach()
    head.rescale(0.5, 2.0)
    np.testing.assert_allclose(torch.stack(head.member_outputs(pooled)).detach(), 0.5 + 2.0 * before, rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"start": "anew"}, {"architecture": "paper"}])
def test_wrong_config(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        MovingConfig(SHAPE, DIM, **wrong)  # type: ignore[arg-type]
