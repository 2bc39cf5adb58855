"""The mutual likelihood score against scalar loops, Gaussian integrals and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.scoring import cosine_score, mutual_likelihood_score
from faceunc.scoring.mls import FORMS

Sides = tuple[Tensor, Tensor, Tensor, Tensor]


def sides(n: int = 6, dim: int = 5, width: int | None = None, seed: int = 0) -> Sides:
    make = torch.Generator().manual_seed(seed)
    mean = normalize(torch.randn(2, n, dim, dtype=torch.float64, generator=make), dim=-1)
    log_var = torch.randn(2, n, width or dim, dtype=torch.float64, generator=make) - 3
    return mean[0], log_var[0], mean[1], log_var[1]


def by_hand(m1: list[float], v1: list[float], m2: list[float], v2: list[float], form: str) -> float:
    total = 0.0
    for a, p, b, q in zip(m1, v1, m2, v2, strict=True):
        s = math.exp(p) + math.exp(q)
        total += (a - b) ** 2 / s + math.log(s)
    return -total if form == "sum" else -0.5 * total - 0.5 * len(m1) * math.log(2 * math.pi)


@pytest.mark.parametrize("form", FORMS)
def test_equals_a_scalar_loop(form: str) -> None:
    given = sides()
    expected = [by_hand(*(part[i].tolist() for part in given), form) for i in range(6)]
    assert torch.allclose(mutual_likelihood_score(*given, form=form), torch.tensor(expected, dtype=torch.float64))


def test_equals_the_density_of_the_difference() -> None:
    m1, v1, m2, v2 = sides()
    density = torch.distributions.Normal(torch.zeros_like(m1), (v1.exp() + v2.exp()).sqrt())
    assert torch.allclose(mutual_likelihood_score(m1, v1, m2, v2), density.log_prob(m1 - m2).sum(-1))


def test_is_the_integral_of_the_product_of_both_gaussians() -> None:
    m1, v1, m2, v2 = sides(n=4, dim=1)
    x = torch.linspace(-9, 9, 40_001, dtype=torch.float64)
    first = torch.distributions.Normal(m1, (v1 / 2).exp()).log_prob(x)
    second = torch.distributions.Normal(m2, (v2 / 2).exp()).log_prob(x)
    integral = torch.trapezoid((first + second).exp(), x)
    assert torch.allclose(mutual_likelihood_score(m1, v1, m2, v2).exp(), integral, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [1, None])
def test_symmetric(form: str, width: int | None) -> None:
    m1, v1, m2, v2 = sides(width=width)
    assert torch.equal(
        mutual_likelihood_score(m1, v1, m2, v2, form=form), mutual_likelihood_score(m2, v2, m1, v1, form=form)
    )


@pytest.mark.parametrize("form", FORMS)
def test_scalar_variance_is_the_same_variance_repeated(form: str) -> None:
    m1, v1, m2, v2 = sides(width=1)
    repeated = mutual_likelihood_score(m1, v1.expand_as(m1), m2, v2.expand_as(m2), form=form)
    assert torch.allclose(mutual_likelihood_score(m1, v1, m2, v2, form=form), repeated)


@pytest.mark.parametrize("form", FORMS)
def test_equal_variances_rank_like_cosine(form: str) -> None:
    m1, _, m2, _ = sides(n=50)
    score = mutual_likelihood_score(m1, torch.full((50, 1), -4.0), m2, torch.full((50, 1), -4.0), form=form)
    assert torch.equal(score.argsort(), cosine_score(m1, m2).argsort())


def test_forms_rank_alike() -> None:
    given = sides(n=50)
    paper, total = (mutual_likelihood_score(*given, form=form) for form in FORMS)
    assert torch.allclose(total, 2 * paper + 5 * math.log(2 * math.pi))


def test_float32_follows_float64() -> None:
    given = sides(n=40, dim=512)
    single = mutual_likelihood_score(*(part.float() for part in given))
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), mutual_likelihood_score(*given), rtol=1e-5)


def test_numpy_gives_numpy() -> None:
    given = sides()
    score = mutual_likelihood_score(*(part.numpy() for part in given))
    assert isinstance(score, np.ndarray)
    assert np.array_equal(score, mutual_likelihood_score(*given).numpy())


def test_broadcasts_to_all_pairs() -> None:
    m1, v1, m2, v2 = sides()
    table = mutual_likelihood_score(m1[:, None], v1[:, None], m2[None], v2[None])
    assert table.shape == (6, 6)
    assert torch.allclose(table.diagonal(), mutual_likelihood_score(m1, v1, m2, v2))


@pytest.mark.parametrize("width", [1, None])
@pytest.mark.parametrize("form", FORMS)
def test_gradient(form: str, width: int | None) -> None:
    given = tuple(part.requires_grad_() for part in sides(n=2, dim=3, width=width))
    assert torch.autograd.gradcheck(lambda *parts: mutual_likelihood_score(*parts, form=form), given)


@pytest.mark.parametrize("log_var", [-80.0, -30.0, 30.0, 80.0])
def test_extreme_variances_stay_finite_in_float32(log_var: float) -> None:
    m1, _, m2, _ = (part.float() for part in sides())
    variance = torch.full((6, 5), log_var, requires_grad=True)
    score = mutual_likelihood_score(m1, variance, m2, variance)
    same = mutual_likelihood_score(m1, variance, m1, variance)
    (score + same).sum().backward()
    assert score.isfinite().all()
    assert same.isfinite().all()
    assert variance.grad is not None
    assert variance.grad.isfinite().all()


def test_unknown_form() -> None:
    with pytest.raises(ValueError, match="paper, sum"):
        mutual_likelihood_score(*sides(), form="papers")
