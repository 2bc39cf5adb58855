"""The stacked members against the head's own loop over them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from faceunc.heads.moving import MovingConfig, MovingHead
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.losses.mutual_likelihood import genuine_pairs, mutual_likelihood_loss
from faceunc.training.members import member_outputs

SHAPE, DIM, ROWS = (6, 2, 2), 8, 23


def head_of(kind: type[PFEHead], variance: str, members: int) -> PFEHead:
    """In training mode, all its parameters away from where they start."""
    torch.manual_seed(5)
    config = (MovingConfig if kind is MovingHead else PFEConfig)(SHAPE, DIM, variance=variance, members=members)
    head = kind(config)  # type: ignore[arg-type]
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return head.train()


def gradients(head: PFEHead, loss: Tensor) -> dict[str, Tensor]:
    head.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in head.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", [PFEHead, MovingHead])
@pytest.mark.parametrize("variance", ["per-dimension", "scalar"])
@pytest.mark.parametrize("members", [1, 4])
def test_same_outputs_gradients_statistics_and_draws(kind: type[PFEHead], variance: str, members: int) -> None:
    pooled = 3.0 * torch.randn(ROWS, 2 * SHAPE[0]) + 2.0
    mean = torch.nn.functional.normalize(torch.randn(ROWS, DIM), dim=1)
    pairs = genuine_pairs(torch.arange(ROWS) // 3, torch.arange(ROWS))
    one, other = head_of(kind, variance, members), head_of(kind, variance, members)
    torch.manual_seed(7)
    looped = torch.stack(one.member_outputs(pooled))
    after = torch.rand(3)
    torch.manual_seed(7)
    stacked = member_outputs(other, pooled)
    assert torch.equal(torch.rand(3), after)
    assert stacked.shape == (members, ROWS, 1 if variance == "scalar" else DIM)
    torch.testing.assert_close(stacked, looped, rtol=1e-5, atol=1e-5)
    mine = gradients(other, mutual_likelihood_loss(mean, stacked, pairs))
    theirs = gradients(one, torch.stack([mutual_likelihood_loss(mean, part, pairs) for part in looped]).mean())
    assert mine.keys() == theirs.keys()
    for name, gradient in theirs.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(mine[name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=name)
    for name, buffer in one.named_buffers():
        torch.testing.assert_close(dict(other.named_buffers())[name], buffer, msg=name)


@pytest.mark.parametrize("momentum", [None, 0.0, 0.3])
def test_statistics_of_any_momentum(momentum: float | None) -> None:
    """None: torch's plain average over all batches."""
    one, other = head_of(PFEHead, "scalar", 3), head_of(PFEHead, "scalar", 3)
    for head in (one, other):
        for module in head.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.momentum = momentum
    for scale in (1.0, 3.0, 0.5):
        pooled = scale * torch.randn(ROWS, 2 * SHAPE[0]) + scale
        torch.manual_seed(7)
        looped = torch.stack(one.member_outputs(pooled))
        torch.manual_seed(7)
        torch.testing.assert_close(member_outputs(other, pooled), looped, rtol=1e-5, atol=1e-5)
    mine = dict(other.named_buffers())
    assert any(name.endswith("running_var") for name in mine)
    for name, buffer in one.named_buffers():
        torch.testing.assert_close(mine[name], buffer, msg=name)


def test_in_evaluation_nothing_moves() -> None:
    head = head_of(PFEHead, "scalar", 3).eval()
    before = {name: value.clone() for name, value in head.state_dict().items()}
    pooled = torch.randn(ROWS, 2 * SHAPE[0])
    assert torch.equal(member_outputs(head, pooled), torch.stack(head.member_outputs(pooled)))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_the_papers_head_is_a_stack_of_one() -> None:
    head = PFEHead(PFEConfig(SHAPE, DIM, "paper")).train()
    assert member_outputs(head, torch.randn(ROWS, 24)).shape == (1, ROWS, DIM)


def test_a_single_row_cannot_be_normalised() -> None:
    with pytest.raises(ValueError, match="more than 1 value"):
        member_outputs(head_of(PFEHead, "scalar", 2), torch.randn(1, 2 * SHAPE[0]))
