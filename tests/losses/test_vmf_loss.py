"""SCF's loss, against mpmath, closed forms on small spheres, and its published minimum."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from torch import Tensor

from faceunc.losses import vmf_loss


def make() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    cosine = 2 * torch.rand(6, dtype=torch.float64, generator=generator) - 1
    return cosine, 4 + 2 * torch.randn(6, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("dim", [2, 3, 5, 64, 128, 512, 2048])
@pytest.mark.parametrize("kappa", [0.1, 3.0, 60.0, 900.0, 1e5])
def test_is_the_formula_at_fifty_digits(dim: int, kappa: float) -> None:
    with mpmath.workdps(50):
        v, k = mpmath.mpf(dim) / 2 - 1, mpmath.mpf(kappa)
        rest = -v * mpmath.log(k) + mpmath.log(mpmath.besseli(v, k)) + mpmath.mpf(dim) / 2 * mpmath.log(2 * mpmath.pi)
        expected = [float(-k * mpmath.mpf(c) + rest) for c in (-0.5, 0.9)]
    log_kappa = torch.full((2,), kappa, dtype=torch.float64).log()
    found = vmf_loss(torch.tensor([-0.5, 0.9], dtype=torch.float64), log_kappa, dim)
    assert found.tolist() == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_density_on_the_circle_and_on_the_sphere_sums_to_one() -> None:
    angle = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    log_kappa = torch.full_like(angle, math.log(4.0))
    circle = (-vmf_loss(angle.cos(), log_kappa, 2)).exp()
    sphere = (-vmf_loss(angle.cos(), log_kappa, 3)).exp() * math.pi * angle.sin()
    for density in (circle, sphere):
        assert 2 * float(torch.trapezoid(density, angle)) == pytest.approx(1.0, rel=1e-7)


@pytest.mark.parametrize("cosine", [0.3, 0.6, 0.9])
def test_least_near_the_published_concentration(cosine: float) -> None:
    log_kappa = torch.linspace(3, 9, 60_001, dtype=torch.float64)
    best = log_kappa[vmf_loss(torch.full_like(log_kappa, cosine), log_kappa, 512).argmin()].exp()
    assert float(best) == pytest.approx(cosine * (512 - cosine**2) / (1 - cosine**2), rel=5e-3)


@pytest.mark.parametrize("dim", [2, 16, 512])
def test_gradient(dim: int) -> None:
    given = tuple(part.requires_grad_() for part in make())
    assert torch.autograd.gradcheck(lambda c, k: vmf_loss(c, k, dim), given)


@pytest.mark.parametrize("dim", [16, 512])
def test_float32_follows_float64(dim: int) -> None:
    cosine, log_kappa = make()
    single = vmf_loss(cosine.float(), log_kappa.float(), dim)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), vmf_loss(cosine, log_kappa, dim), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("log_kappa", [-80.0, 0.0, 80.0])
@pytest.mark.parametrize("cosine", [-1.0, 0.5, 1.0])
def test_extreme_concentrations_stay_finite_in_float32(log_kappa: float, cosine: float) -> None:
    given = torch.full((3,), cosine, requires_grad=True), torch.full((3,), log_kappa, requires_grad=True)
    loss = vmf_loss(*given, 512).mean()
    loss.backward()
    assert loss.isfinite()
    for part in given:
        assert part.grad is not None
        assert part.grad.isfinite().all()


def test_wrong_input() -> None:
    cosine, log_kappa = make()
    with pytest.raises(ValueError, match=r"must both be \(B,\)"):
        vmf_loss(cosine, log_kappa[:, None], 512)
    with pytest.raises(ValueError, match="dim must be at least 2"):
        vmf_loss(cosine, log_kappa, 1)
