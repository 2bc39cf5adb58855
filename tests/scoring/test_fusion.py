"""Fusion of templates: its laws, and oracles for every posterior."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.scoring import POSTERIORS, effective_number, fuse, fuse_mean

every = pytest.mark.parametrize("posterior", POSTERIORS)
widths = pytest.mark.parametrize("width", [1, 4])


def template(n: int = 5, width: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    make = torch.Generator().manual_seed(seed)
    mean = normalize(torch.randn(1, 4, generator=make) + 0.3 * torch.randn(n, 4, generator=make), dim=1)
    return mean.double(), torch.randn(n, width, dtype=torch.float64, generator=make) - 4


@every
@widths
@pytest.mark.parametrize("rho", [0.0, 0.4, 1.0])
def test_one_image_comes_back_unchanged(posterior: str, width: int, rho: float) -> None:
    mean, log_var = template(1, width)
    fused, variance = fuse(mean, log_var, posterior, rho)
    assert torch.allclose(fused, mean[0], atol=1e-7)
    assert torch.allclose(variance, log_var[0])


@every
@widths
def test_order_does_not_matter(posterior: str, width: int) -> None:
    mean, log_var = template(6, width)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    for one, other in zip(
        fuse(mean, log_var, posterior, 0.3), fuse(mean[order], log_var[order], posterior, 0.3), strict=True
    ):
        assert torch.allclose(one, other)


def product_of_gaussians(mean: Tensor, log_var: Tensor) -> tuple[list[float], list[float]]:
    """Multiply the densities one after the other, dimension by dimension."""
    means, variances = [], []
    for column in range(mean.shape[1]):
        m, v = float(mean[0, column]), math.exp(float(log_var[0, column]))
        for row in range(1, len(mean)):
            other, w = float(mean[row, column]), math.exp(float(log_var[row, column]))
            m, v = (m * w + other * v) / (v + w), v * w / (v + w)
        means.append(m)
        variances.append(v)
    return means, variances


def test_bayes_is_the_product_of_gaussians() -> None:
    mean, log_var = template()
    fused, variance = fuse(mean, log_var, "bayes")
    means, variances = product_of_gaussians(mean, log_var)
    assert np.allclose(variance.exp(), variances)
    assert np.allclose(fused, np.array(means) / np.linalg.norm(means))


def test_harmonic_is_n_times_bayes() -> None:
    mean, log_var = template(7)
    assert torch.allclose(fuse(mean, log_var, "harmonic")[1], fuse(mean, log_var, "bayes")[1] + math.log(7))


def test_min_is_the_best_image() -> None:
    mean, log_var = template()
    assert torch.equal(fuse(mean, log_var, "min")[1], log_var.min(0).values)


@widths
def test_uncorrelated_errors_give_bayes(width: int) -> None:
    mean, log_var = template(width=width)
    assert torch.allclose(fuse(mean, log_var, "correlated", 0.0)[1], fuse(mean, log_var, "bayes")[1])


@pytest.mark.parametrize("rho", [0.0, 0.25, 0.9, 1.0])
def test_correlated_is_the_variance_of_the_weighted_mean(rho: float) -> None:
    mean, log_var = template()
    variance = fuse(mean, log_var, "correlated", rho)[1]
    for column in range(4):
        var = np.exp(log_var[:, column].numpy())
        covariance = rho * np.sqrt(np.outer(var, var))
        np.fill_diagonal(covariance, var)
        weights = (1 / var) / (1 / var).sum()
        assert math.isclose(float(variance[column]), math.log(weights @ covariance @ weights), rel_tol=1e-10)


def test_posteriors_are_ordered() -> None:
    mean, log_var = template(8)
    bayes, least, harmonic = (fuse(mean, log_var, name)[1] for name in ("bayes", "min", "harmonic"))
    rising = [fuse(mean, log_var, "correlated", rho)[1] for rho in (0.0, 0.3, 0.7, 1.0)]
    assert (bayes < least).all()
    assert (least < rising[-1]).all()
    assert (rising[-1] < harmonic).all()
    assert all((low < high).all() for low, high in pairwise(rising))


@every
def test_fused_mean_has_length_one_and_follows_the_sharp_image(posterior: str) -> None:
    mean, log_var = template(3)
    log_var[1] = -30.0
    fused, _ = fuse(mean, log_var, posterior, 0.5)
    assert torch.allclose(fused, mean[1], atol=1e-6)
    assert math.isclose(float(fused.norm()), 1.0, rel_tol=1e-6)


def test_equal_variances_give_the_plain_mean() -> None:
    mean, _ = template()
    assert torch.allclose(fuse(mean, torch.full((5, 1), -3.0).double())[0], fuse_mean(mean))


@every
def test_numpy_gives_numpy_and_float32_follows_float64(posterior: str) -> None:
    mean, log_var = template()
    single = fuse(mean.float().numpy(), log_var.float().numpy(), posterior, 0.3)
    for one, other in zip(single, fuse(mean, log_var, posterior, 0.3), strict=True):
        assert isinstance(one, np.ndarray)
        assert one.dtype == np.float32
        assert np.allclose(one, other, rtol=1e-5, atol=1e-6)


@every
@widths
@pytest.mark.parametrize("output", [0, 1])
def test_gradient(posterior: str, width: int, output: int) -> None:
    given = tuple(part.requires_grad_() for part in template(3, width))
    assert torch.autograd.gradcheck(lambda m, v: fuse(m, v, posterior, 0.3)[output], given)


@every
@pytest.mark.parametrize("log_var", [-500.0, 500.0])
def test_extreme_variances_stay_finite_in_float32(posterior: str, log_var: float) -> None:
    mean = template(3)[0].float()
    variance = torch.tensor([[log_var], [0.0], [log_var / 2]])
    for part in fuse(mean, variance, posterior, 0.5):
        assert part.isfinite().all()


@pytest.mark.parametrize("log_var", [-500.0, -13.8, 0.0, 500.0])
def test_effective_number_of_equal_images_is_their_count(log_var: float) -> None:
    assert float(effective_number(torch.full((6, 3), log_var))) == pytest.approx(6.0)


def test_effective_number_with_one_far_better_image_is_one() -> None:
    log_var = torch.zeros(6, 3)
    log_var[2] = -40.0
    assert float(effective_number(log_var)) == pytest.approx(1.0)


def test_effective_number_lies_between_one_and_n() -> None:
    log_var = template(5)[1].numpy()
    weights = np.exp(-log_var).mean(1)
    assert 1.0 < effective_number(log_var) < 5.0
    assert effective_number(log_var) == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert effective_number(log_var) == pytest.approx(effective_number(log_var + 3.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"posterior": "best"}, "min, harmonic"), ({"rho": 1.5}, "rho"), ({"rho": float("nan")}, "rho")],
)
def test_bad_arguments(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fuse(*template(), **change)


def test_empty_template() -> None:
    for call in (lambda: fuse(torch.empty(0, 4), torch.empty(0, 1)), lambda: fuse_mean(torch.empty(0, 4))):
        with pytest.raises(ValueError, match="at least one image"):
            call()
