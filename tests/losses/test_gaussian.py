"""Regression with a learned variance, against torch.distributions, scalar loops and torch's own losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses import beta_nll_loss, gaussian_loss, smooth_l1_gaussian_loss

Loss = Callable[..., Tensor]
LOSSES = {
    "gaussian": gaussian_loss,
    "smooth l1": partial(smooth_l1_gaussian_loss, delta=0.7),
    "beta": partial(beta_nll_loss, beta=0.5),
}
every = pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
shapes = pytest.mark.parametrize("shape", [(4, 3), (4, 1), (3,), ()], ids=str)
number = st.floats(-20, 20)


def make(shape: tuple[int, ...] = (4, 3)) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = partial(torch.randn, dtype=torch.float64, generator=generator)
    return draw(4, 3), draw(4, 3), draw(shape)


@shapes
def test_gaussian_is_the_density(shape: tuple[int, ...]) -> None:
    f, y, s = make(shape)
    density = torch.distributions.Normal(f, (0.5 * s).exp().expand(4, 3))
    expected = -density.log_prob(y) - 0.5 * math.log(2 * math.pi)
    assert torch.allclose(gaussian_loss(f, y, s, reduction="none"), expected)


@given(number, number, st.floats(-30, 30), st.floats(0.1, 5))
def test_smooth_l1_is_its_formula(f: float, y: float, s: float, delta: float) -> None:
    d = abs(y - f)
    huber = 0.5 * d * d if d <= delta else delta * (d - 0.5 * delta)
    expected = math.exp(-s) * huber + 0.5 * s
    found = smooth_l1_gaussian_loss(*(torch.tensor([v], dtype=torch.float64) for v in (f, y, s)), delta=delta)
    assert float(found) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_smooth_l1_at_one_is_torchs_and_a_wide_one_is_gaussian() -> None:
    f, y, s = make()
    assert torch.allclose(
        smooth_l1_gaussian_loss(f, y, torch.zeros(()), reduction="none"), F.smooth_l1_loss(f, y, reduction="none")
    )
    assert torch.equal(smooth_l1_gaussian_loss(f, y, s, delta=100.0), gaussian_loss(f, y, s))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_beta_weights_value_and_gradient(beta: float) -> None:
    f, y, s = make()
    f.requires_grad_()
    s.requires_grad_()
    loss = beta_nll_loss(f, y, s, beta, reduction="none")
    with torch.no_grad():
        variance, d = s.exp(), y - f
        assert torch.allclose(loss, variance**beta * gaussian_loss(f, y, s, reduction="none"))
    loss.sum().backward()
    assert f.grad is not None
    assert s.grad is not None
    assert torch.allclose(f.grad, -(variance ** (beta - 1)) * d)
    assert torch.allclose(s.grad, variance**beta * 0.5 * (1 - d.square() / variance))


@pytest.mark.parametrize("loss", [gaussian_loss, LOSSES["smooth l1"], partial(beta_nll_loss, beta=0.0)])
@shapes
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradient(loss: Loss, shape: tuple[int, ...], reduction: str) -> None:
    given_ = tuple(part.requires_grad_() for part in make(shape))
    assert torch.autograd.gradcheck(lambda *parts: loss(*parts, reduction=reduction), given_)


def test_beta_gradient_with_the_weight_held() -> None:
    f, y, s = make()
    weight = torch.exp(0.5 * s.clone())
    held = [part.clone().requires_grad_() for part in (f, y, s)]
    (weight * gaussian_loss(*held, reduction="none")).mean().backward()
    free = [part.clone().requires_grad_() for part in (f, y, s)]
    beta_nll_loss(*free, beta=0.5).backward()
    for one, other in zip(held, free, strict=True):
        assert torch.allclose(one.grad, other.grad)  # type: ignore[arg-type]


def test_one_shared_variance_is_least_at_the_mean_square() -> None:
    f, y, _ = make()
    best = (y - f).square().mean().log()
    at = [float(gaussian_loss(f, y, best + shift)) for shift in (-0.01, 0.0, 0.01)]
    assert at[1] < min(at[0], at[2])


@every
def test_reductions_and_float32(loss: Loss) -> None:
    f, y, s = make((4, 1))
    values = loss(f, y, s, reduction="none")
    assert values.shape == (4, 3)
    assert torch.allclose(loss(f, y, s), values.mean())
    assert torch.allclose(loss(f, y, s, reduction="sum"), values.sum())
    single = loss(f.float(), y.float(), s.float(), reduction="none")
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), values, rtol=1e-5, atol=1e-6)


@every
@pytest.mark.parametrize("log_var", [-80.0, 80.0])
def test_extreme_variances_stay_finite_in_float32(loss: Loss, log_var: float) -> None:
    f, y, _ = (part.float().requires_grad_() for part in make())
    s = torch.full((4, 1), log_var, requires_grad=True)
    value = loss(f, y, s)
    value.backward()
    assert value.isfinite()
    for part in (f, s):
        assert part.grad is not None
        assert part.grad.isfinite().all()


@every
def test_wrong_input(loss: Loss) -> None:
    f, y, s = make()
    with pytest.raises(ValueError, match="target must have the prediction's shape"):
        loss(f, y[:, :1], s)
    for bad in (s[None], s[:2], torch.zeros(4)):
        with pytest.raises(ValueError, match="log_var must broadcast"):
            loss(f, y, bad)
    with pytest.raises(ValueError, match=r"log_var must broadcast to \(4, 1\)"):
        loss(f[:, :1], y[:, :1], s)
    with pytest.raises(ValueError, match="reduction must be one of mean, sum, none"):
        loss(f, y, s, reduction="average")


def test_wrong_parameters() -> None:
    with pytest.raises(ValueError, match="delta must be positive"):
        smooth_l1_gaussian_loss(*make(), delta=0.0)
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\]"):
        beta_nll_loss(*make(), beta=1.5)
