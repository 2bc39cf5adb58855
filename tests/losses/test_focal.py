"""Focal losses, against torchvision and scalar loops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss as torchvision_loss

from faceunc.losses import sigmoid_focal_loss, softmax_focal_loss

gammas = pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def make() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(6, 4, dtype=torch.float64, generator=generator)
    labels = (torch.rand(6, 4, generator=generator) < 0.4).double()
    return logits, labels, torch.tensor([0, 3, 1, 1, 2, 0])


@gammas
@reductions
@pytest.mark.parametrize("alpha", [0.0, 0.25, None])
def test_sigmoid_is_torchvisions(gamma: float, reduction: str, alpha: float | None) -> None:
    logits, labels, _ = make()
    expected = torchvision_loss(logits, labels, -1.0 if alpha is None else alpha, gamma, reduction)
    assert torch.allclose(sigmoid_focal_loss(logits, labels, gamma, alpha, reduction), expected)


@given(st.lists(st.floats(-15, 15), min_size=3, max_size=3), st.integers(0, 2), st.floats(0, 5))
def test_softmax_is_its_formula(x: list[float], c: int, gamma: float) -> None:
    total = sum(map(math.exp, x))
    wrong = sum(math.exp(v) for k, v in enumerate(x) if k != c) / total
    expected = -(wrong**gamma) * math.log(math.exp(x[c]) / total)
    found = softmax_focal_loss(torch.tensor([x], dtype=torch.float64), torch.tensor([c]), gamma)
    assert float(found) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_without_gamma_it_is_cross_entropy() -> None:
    logits, labels, target = make()
    assert torch.allclose(softmax_focal_loss(logits, target, 0.0), F.cross_entropy(logits, target))
    assert torch.allclose(
        sigmoid_focal_loss(logits, labels, 0.0, None), F.binary_cross_entropy_with_logits(logits, labels)
    )


@gammas
@reductions
def test_gradient(gamma: float, reduction: str) -> None:
    logits, labels, target = make()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: softmax_focal_loss(x, target, gamma, reduction), (logits,))
    assert torch.autograd.gradcheck(lambda x: sigmoid_focal_loss(x, labels, gamma, 0.25, reduction), (logits,))


def test_reductions_and_float32() -> None:
    logits, labels, target = make()
    for loss, other in ((softmax_focal_loss, target), (sigmoid_focal_loss, labels)):
        values = loss(logits, other, reduction="none")
        assert torch.allclose(loss(logits, other), values.mean())
        assert torch.allclose(loss(logits, other, reduction="sum"), values.sum())
        single = loss(logits.float(), other if other is target else other.float(), reduction="none")
        assert single.dtype == torch.float32
        assert torch.allclose(single.double(), values, rtol=1e-4, atol=1e-6)


@gammas
@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
def test_extreme_logits_stay_finite_in_float32(gamma: float, size: float) -> None:
    logits = torch.tensor([[size, -size], [-size, size]], requires_grad=True)
    loss = softmax_focal_loss(logits, torch.tensor([0, 0]), gamma)
    loss = loss + sigmoid_focal_loss(logits, torch.tensor([[1.0, 1.0], [0.0, 0.0]]), gamma)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_wrong_input() -> None:
    logits, labels, target = make()
    for call, message in (
        (lambda: softmax_focal_loss(logits, labels), r"\(B, C\) and \(B,\)"),
        (lambda: softmax_focal_loss(logits, target, -1.0), "gamma must be at least 0"),
        (lambda: softmax_focal_loss(logits, target, reduction=""), "reduction must be"),
        (lambda: sigmoid_focal_loss(logits, labels[:, :1]), "target must be"),
        (lambda: sigmoid_focal_loss(logits, labels, alpha=2.0), "alpha must be"),
        (lambda: sigmoid_focal_loss(logits, labels, -0.1), "gamma must be at least 0"),
        (lambda: sigmoid_focal_loss(logits, labels, reduction=""), "reduction must be"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
