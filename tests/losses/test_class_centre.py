"""DUL's regression, against torch.distributions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from torch.nn.functional import normalize

from faceunc.losses import class_centre_loss

widths = pytest.mark.parametrize("width", [1, 5])


def make(width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean, centre = normalize(torch.randn(2, 4, 5, dtype=torch.float64, generator=generator), dim=-1)
    return mean, torch.randn(4, width, dtype=torch.float64, generator=generator) - 3, centre


@widths
def test_is_the_likelihood_of_the_centre(width: int) -> None:
    mean, log_var, centre = make(width)
    density = Independent(Normal(mean, (0.5 * log_var).exp().expand_as(mean)), 1)
    expected = (-density.log_prob(centre) - 2.5 * math.log(2 * math.pi)).mean()
    assert torch.allclose(class_centre_loss(mean, log_var, centre), expected)


def test_a_shared_variance_is_least_at_the_mean_square() -> None:
    mean, _, centre = make(1)
    best = (mean - centre).square().mean().log()
    at = [float(class_centre_loss(mean, (best + shift).expand(4, 1), centre)) for shift in (-0.01, 0.0, 0.01)]
    assert at[1] < min(at[0], at[2])


@widths
def test_gradient(width: int) -> None:
    assert torch.autograd.gradcheck(class_centre_loss, tuple(part.requires_grad_() for part in make(width)))


@widths
def test_float32_follows_float64(width: int) -> None:
    single = class_centre_loss(*(part.float() for part in make(width)))
    assert single.dtype == torch.float32
    assert float(single) == pytest.approx(float(class_centre_loss(*make(width))), rel=1e-5)


@widths
@pytest.mark.parametrize("log_var", [-80.0, 80.0])
def test_extreme_variances_stay_finite_in_float32(width: int, log_var: float) -> None:
    mean, _, centre = (part.float() for part in make(width))
    s = torch.full((4, width), log_var, requires_grad=True)
    value = class_centre_loss(mean, s, centre)
    value.backward()
    assert value.isfinite()
    assert s.grad is not None
    assert s.grad.isfinite().all()


def test_wrong_input() -> None:
    mean, log_var, centre = make(5)
    for bad in ((mean, log_var, centre[:1]), (mean, log_var[:, :2], centre), (mean[0], log_var[0], centre[0])):
        with pytest.raises(ValueError, match="mean, centre and log_var must be"):
            class_centre_loss(*bad)
    with pytest.raises(ValueError, match="at least one row"):
        class_centre_loss(mean[:0], log_var[:0], centre[:0])
