"""Margin softmax: arc cosines as the oracle, safe at both ends, and the classifier that delegates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from faceunc.losses import MARGINS, MarginHead, arcface_logits, cosface_logits, margin_logits, softmax_logits

every = pytest.mark.parametrize("kind", MARGINS)
angles = st.floats(0.01, math.pi - 0.01)


def make() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    cosine = 1.8 * torch.rand(5, 4, dtype=torch.float64, generator=generator) - 0.9
    return cosine, torch.tensor([0, 3, 1, 1, 2])


def by_hand(cosine: float, kind: str, margin: float) -> float:
    if kind == "softmax":
        return cosine
    if kind == "cosface":
        return cosine - margin
    angle = math.acos(cosine) + margin
    return math.cos(angle) if angle < math.pi else cosine + math.cos(margin) - 1.0


@every
@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5, 1.2])
def test_equals_a_scalar_loop(kind: str, margin: float) -> None:
    cosine, target = make()
    expected = cosine.clone()
    for row, column in enumerate(target.tolist()):
        expected[row, column] = by_hand(float(cosine[row, column]), kind, margin)
    before = cosine.clone()
    assert torch.allclose(margin_logits(cosine, target, kind, margin, 32.0), 32.0 * expected)
    assert torch.equal(cosine, before)


@given(angles, angles, st.floats(0, 3.1))
def test_arcface_falls_with_the_angle(first: float, second: float, margin: float) -> None:
    near, far = sorted((first, second))
    cosine = torch.tensor([[math.cos(near)], [math.cos(far)]], dtype=torch.float64)
    a, b = arcface_logits(cosine, torch.tensor([0, 0]), margin, 1.0)[:, 0].tolist()
    assert b <= a + 1e-12


def test_arcface_is_continuous_beyond_pi() -> None:
    edge = -math.cos(0.5)
    around = torch.tensor([[edge - 1e-9], [edge + 1e-9]], dtype=torch.float64)
    assert torch.allclose(arcface_logits(around, torch.tensor([0, 0]), 0.5, 1.0), torch.tensor(-1.0).double())


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("own", [1.0, -1.0, 1.0 + 1e-6, -1.0 - 1e-6])
def test_both_ends_have_finite_gradients(kind: str, dtype: torch.dtype, own: float) -> None:
    cosine = torch.tensor([[own, 0.1]], dtype=dtype, requires_grad=True)
    logits = margin_logits(cosine, torch.tensor([0]), kind, 0.5, 64.0)
    cross_entropy(logits, torch.tensor([0])).backward()
    assert float(logits[0, 0].detach()) == pytest.approx(
        64 * by_hand(max(-1.0, min(1.0, own)), kind, 0.5), abs=64 * 5e-4
    )
    assert cosine.grad is not None
    assert cosine.grad.isfinite().all()


@every
def test_gradient(kind: str) -> None:
    cosine, target = make()
    scale = torch.linspace(1, 3, 5, dtype=torch.float64, requires_grad=True)
    given_ = (cosine.requires_grad_(), scale)
    assert torch.autograd.gradcheck(lambda c, s: margin_logits(c, target, kind, 0.4, s), given_)


@every
def test_a_scale_for_every_row(kind: str) -> None:
    cosine, target = make()
    scale = torch.linspace(8, 64, 5, dtype=torch.float64)
    table = margin_logits(cosine, target, kind, 0.3, scale)
    for row in range(5):
        alone = margin_logits(cosine[row : row + 1], target[row : row + 1], kind, 0.3, float(scale[row]))
        assert torch.allclose(table[row], alone[0])
    assert torch.allclose(
        margin_logits(cosine, target, kind, 0.3, torch.tensor(8.0)), margin_logits(cosine, target, kind, 0.3, 8.0)
    )


@every
def test_float32_follows_float64(kind: str) -> None:
    cosine, target = make()
    single = margin_logits(cosine.float(), target, kind, 0.4, 64.0)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single, margin_logits(cosine, target, kind, 0.4, 64.0), atol=1e-4)


@every
def test_head_delegates(kind: str) -> None:
    torch.manual_seed(0)
    head = MarginHead(6, 4, kind, margin=0.3, scale=16.0)
    embedding, target = torch.randn(5, 6), torch.tensor([0, 3, 1, 1, 2])
    cosine = normalize(embedding, dim=1) @ normalize(head.weight, dim=1).T
    assert torch.allclose(head(embedding, target), margin_logits(cosine, target, kind, 0.3, 16.0), atol=1e-5)
    scale = torch.linspace(1, 5, 5)
    assert torch.allclose(head(embedding, target, scale), margin_logits(cosine, target, kind, 0.3, scale), atol=1e-5)
    assert kind in repr(head)
    with torch.no_grad():
        before = head(embedding, target)
        head.weight *= 7.0
        assert torch.allclose(head(3 * embedding, target), before, atol=1e-4)


@every
def test_head_gradient(kind: str) -> None:
    torch.manual_seed(1)
    head = MarginHead(3, 4, kind, margin=0.3, scale=2.0).double()
    target = torch.tensor([1, 3])
    embedding = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def logits(given_: Tensor, weight: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(head, {"weight": weight}, (given_, target))
        return out

    weight = head.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(logits, (embedding, weight))


def test_wrong_input() -> None:
    cosine, target = make()
    for call, message in (
        (lambda: softmax_logits(cosine, 0.0), "scale must be positive"),
        (lambda: softmax_logits(cosine, torch.ones(4)), r"scale must be a number or \(5,\)"),
        (lambda: cosface_logits(cosine, target, 2.5, 1.0), "margin_cosine must be"),
        (lambda: arcface_logits(cosine, target, 28.6, 1.0), "margin_radians must be"),
        (lambda: arcface_logits(cosine, target[:3], 0.5, 1.0), r"\(B, C\) and \(B,\)"),
        (lambda: margin_logits(cosine, target, "sphereface", 0.5, 1.0), "kind must be one of softmax, cosface"),
        (lambda: MarginHead(3, 4, "sphereface"), "kind must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
