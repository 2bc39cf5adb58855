"""The divergence from the standard normal, against torch.distributions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from faceunc.losses import kl_to_standard_normal

widths = pytest.mark.parametrize("width", [1, 5])


def make(width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(4, 5, dtype=torch.float64, generator=generator)
    return mean, torch.randn(4, width, dtype=torch.float64, generator=generator)


@widths
def test_is_torchs_divergence(width: int) -> None:
    mean, log_var = make(width)
    ours = Independent(Normal(mean, (0.5 * log_var).exp().expand_as(mean)), 1)
    standard = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    expected = kl_divergence(ours, standard)
    assert torch.allclose(kl_to_standard_normal(mean, log_var), expected)
    assert torch.allclose(kl_to_standard_normal(mean, log_var, "mean"), expected / 5)


def test_is_never_negative_and_zero_at_the_standard_normal() -> None:
    assert torch.equal(kl_to_standard_normal(torch.zeros(2, 3), torch.zeros(2, 1)), torch.zeros(2))
    near = torch.linspace(-1e-3, 1e-3, 101)[:, None]
    assert (kl_to_standard_normal(torch.zeros(101, 8), near) >= 0).all()


@widths
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradient(width: int, reduction: str) -> None:
    given = tuple(part.requires_grad_() for part in make(width))
    assert torch.autograd.gradcheck(lambda m, s: kl_to_standard_normal(m, s, reduction), given)


@widths
def test_float32_follows_float64(width: int) -> None:
    mean, log_var = make(width)
    single = kl_to_standard_normal(mean.float(), log_var.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), kl_to_standard_normal(mean, log_var), rtol=1e-5)


@widths
@pytest.mark.parametrize("log_var", [-80.0, 80.0])
def test_extreme_variances_stay_finite_in_float32(width: int, log_var: float) -> None:
    s = torch.full((4, width), log_var, requires_grad=True)
    value = kl_to_standard_normal(torch.ones(4, 5), s).mean()
    value.backward()
    assert value.isfinite()
    assert s.grad is not None
    assert s.grad.isfinite().all()


def test_wrong_input() -> None:
    mean, log_var = make(5)
    for bad in ((mean, log_var[:, :2]), (mean, log_var[:2]), (mean[0], log_var[0])):
        with pytest.raises(ValueError, match="mean and log_var must be"):
            kl_to_standard_normal(*bad)
    with pytest.raises(ValueError, match="reduction must be one of sum, mean"):
        kl_to_standard_normal(mean, log_var, "none")
