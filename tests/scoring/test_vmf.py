"""Scores and fusion of von Mises-Fisher distributions: integrals over small spheres, mpmath, and the laws."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.embeddings import Embeddings
from faceunc.errors import IncompatibleError
from faceunc.scoring import indexed
from faceunc.scoring.cosine import cosine_score
from faceunc.scoring.embedded import SCORES, score_matrix, score_pairs
from faceunc.scoring.indexed import score_all, score_indexed
from faceunc.scoring.mls import mutual_likelihood_score
from faceunc.scoring.vmf import CONCENTRATIONS, fuse_vmf, log_vmf_normaliser, vmf_score

Sides = tuple[Tensor, Tensor, Tensor, Tensor]
every = pytest.mark.parametrize("concentration", CONCENTRATIONS)


def sides(n: int = 6, dim: int = 5, seed: int = 0, level: float = 2.0) -> Sides:
    make = torch.Generator().manual_seed(seed)
    mean = normalize(torch.randn(2, n, dim, dtype=torch.float64, generator=make), dim=-1)
    log_kappa = torch.randn(2, n, 1, dtype=torch.float64, generator=make) + level
    return mean[0], log_kappa[0], mean[1], log_kappa[1]


def sphere(dim: int) -> tuple[Tensor, Tensor]:
    """Points of the circle or the sphere (rows), and the area that each stands for."""
    around = torch.arange(400, dtype=torch.float64) * (2 * math.pi / 400)
    if dim == 2:
        return torch.stack([around.cos(), around.sin()], 1), torch.full((400,), 2 * math.pi / 400, dtype=torch.float64)
    z, weight = map(torch.from_numpy, np.polynomial.legendre.leggauss(200))
    ring = (1 - z.square()).sqrt()[:, None]
    points = torch.stack([ring * around.cos(), ring * around.sin(), z[:, None].expand(-1, 400)], -1)
    return points.flatten(0, 1), (weight[:, None] * (2 * math.pi / 400)).expand(-1, 400).flatten()


def density(points: Tensor, mean: Tensor, log_kappa: Tensor) -> Tensor:
    """Closed forms: I_0 on the circle, sinh on the sphere. (points, n)"""
    kappa = log_kappa[:, 0].exp()
    if mean.shape[1] == 2:
        return torch.exp(kappa * (points @ mean.T)) / (2 * math.pi * torch.special.i0(kappa))
    return torch.exp(kappa * (points @ mean.T)) * kappa / (4 * math.pi * kappa.sinh())


@pytest.mark.parametrize("dim", [2, 3])
def test_is_the_integral_of_the_product_over_the_sphere(dim: int) -> None:
    m1, k1, m2, k2 = sides(dim=dim, level=1.0)
    points, area = sphere(dim)
    first, second = density(points, m1, k1), density(points, m2, k2)
    assert torch.allclose(area @ first, torch.ones(6).double(), rtol=1e-10)
    assert torch.allclose(vmf_score(m1, k1, m2, k2), (area @ (first * second)).log(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dim", [4, 128, 512])
@pytest.mark.parametrize("level", [-1.0, 4.0, 7.0])
def test_is_the_formula_at_fifty_digits(dim: int, level: float) -> None:
    given = sides(n=3, dim=dim, level=level)
    found = vmf_score(*given)
    with mpmath.workdps(50):
        v = mpmath.mpf(dim) / 2 - 1

        def log_i(k: mpmath.mpf) -> mpmath.mpf:
            return mpmath.log(mpmath.besseli(v, k))

        for row in range(3):
            m1, l1, m2, l2 = ([mpmath.mpf(x) for x in part[row].tolist()] for part in given)
            k1, k2 = mpmath.exp(l1[0]), mpmath.exp(l2[0])
            kt = mpmath.norm([k1 * a + k2 * b for a, b in zip(m1, m2, strict=True)])
            expected = v * (l1[0] + l2[0] - mpmath.log(kt)) - (log_i(k1) + log_i(k2) - log_i(kt))
            expected -= mpmath.mpf(dim) / 2 * mpmath.log(2 * mpmath.pi)
            assert float(found[row]) == pytest.approx(float(expected), rel=1e-10, abs=1e-10)


def test_normaliser_integrates_to_one() -> None:
    log_kappa = torch.tensor([0.5], dtype=torch.float64)
    points, area = sphere(3)
    values = torch.exp(log_vmf_normaliser(log_kappa, 3) - log_kappa.exp() * (1 - points[:, 2]))
    assert float(area @ values) == pytest.approx(1.0, rel=1e-10)


def test_symmetric_and_higher_for_nearer_means() -> None:
    m1, k1, m2, k2 = sides(n=50)
    assert torch.equal(vmf_score(m1, k1, m2, k2), vmf_score(m2, k2, m1, k1))
    same = torch.full((50, 1), 3.0).double()
    assert torch.equal(vmf_score(m1, same, m2, same).argsort(), cosine_score(m1, m2).argsort())


def test_sharp_distributions_score_as_gaussians_of_variance_one_over_kappa() -> None:
    """On the sphere D - 1 dimensions carry the density; close by, all else is the same."""
    m1, _, _, _ = sides(dim=3)
    m2 = normalize(m1 + 1e-3 * torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).double(), dim=1)
    log_kappa = torch.full((6, 1), 13.0).double()
    gauss = mutual_likelihood_score(m1, -log_kappa, m2, -log_kappa)
    one_less = 0.5 * (math.log(2) - 13.0) + 0.5 * math.log(2 * math.pi)
    assert torch.allclose(vmf_score(m1, log_kappa, m2, log_kappa), gauss + one_less, atol=1e-4)


@pytest.mark.parametrize("dim", [2, 3, 40, 128])
def test_gradient(dim: int) -> None:
    given = tuple(part.requires_grad_() for part in sides(n=2, dim=dim))
    assert torch.autograd.gradcheck(vmf_score, given)


def test_float32_follows_float64_and_numpy_gives_numpy() -> None:
    given = sides(n=40, dim=512, level=6.0)
    single = vmf_score(*(part.float().numpy() for part in given))
    assert isinstance(single, np.ndarray)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, vmf_score(*given), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("dim", [2, 128])
@pytest.mark.parametrize("log_kappa", [-80.0, -30.0, 30.0, 80.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extreme_concentrations_stay_finite_in_float32(dim: int, log_kappa: float, sign: float) -> None:
    mean = sides(dim=dim)[0].float().requires_grad_()
    kappa = torch.full((6, 1), log_kappa, requires_grad=True)
    score = vmf_score(mean, kappa, sign * mean.detach(), kappa)
    score.sum().backward()
    assert score.isfinite().all()
    for part in (mean, kappa):
        assert part.grad is not None
        assert part.grad.isfinite().all()


@pytest.mark.parametrize("n", [2, 5])
def test_product_of_densities_is_the_fused_density(n: int) -> None:
    mean, log_kappa, _, _ = sides(n=n, dim=3)
    fused, log_fused = fuse_vmf(mean, log_kappa)
    points, area = sphere(3)
    product = density(points, mean, log_kappa).log().sum(1)
    product = torch.exp(product - product.max())
    expected = product / (area @ product)
    found = density(points, fused[None], log_fused[None])[:, 0]
    assert torch.allclose(found, expected, rtol=1e-6, atol=1e-12)


def test_fusion_by_hand() -> None:
    mean, log_kappa, _, _ = sides(n=4)
    total = (log_kappa.exp() * mean).sum(0)
    for concentration, expected in (("product", total.norm()), ("mean", log_kappa.exp().mean())):
        fused, log_fused = fuse_vmf(mean, log_kappa, concentration)
        assert torch.allclose(fused, total / total.norm())
        assert torch.allclose(log_fused, expected.log()[None])


@every
def test_fusion_laws(concentration: str) -> None:
    mean, log_kappa, _, _ = sides(n=5)
    alone, log_alone = fuse_vmf(mean[:1], log_kappa[:1], concentration)
    assert torch.allclose(alone, mean[0])
    assert torch.allclose(log_alone, log_kappa[0])
    order = torch.tensor([3, 0, 4, 1, 2])
    for one, other in zip(
        fuse_vmf(mean, log_kappa, concentration), fuse_vmf(mean[order], log_kappa[order], concentration), strict=True
    ):
        assert torch.allclose(one, other)
    assert torch.autograd.gradcheck(
        lambda m, k: fuse_vmf(m, k, concentration), (mean.requires_grad_(), log_kappa.requires_grad_())
    )


@every
@pytest.mark.parametrize("log_kappa", [-300.0, 300.0])
def test_extreme_fusion_stays_finite(concentration: str, log_kappa: float) -> None:
    mean = sides(n=3)[0].float().numpy()
    for given in (mean, np.stack([mean[0], -mean[0], mean[0]])[:2]):
        for part in fuse_vmf(given, np.full((len(given), 1), log_kappa, np.float32), concentration):
            assert isinstance(part, np.ndarray)
            assert np.isfinite(part).all()


def test_wrong_input() -> None:
    m1, k1, m2, k2 = sides()
    for call, message in (
        (lambda: vmf_score(m1, k1.expand(6, 5), m2, k2), r"log_kappa must be \(..., 1\)"),
        (lambda: vmf_score(m1[:, :1], k1, m2[:, :1], k2), "dim must be at least 2"),
        (lambda: fuse_vmf(m1, k1, "sum"), "concentration must be one of product, mean"),
        (lambda: fuse_vmf(m1[:0], k1[:0]), "at least one image"),
        (lambda: fuse_vmf(m1, k1[:, 0]), r"log_kappa must be \(6, 1\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


META = {"backbone": "b", "backbone_sha256": "1", "alignment": "a", "head": "h", "head_sha256": "2"}


def embeddings(n: int = 30, width: int = 1) -> Embeddings:
    mean, log_kappa, _, _ = sides(n=n, dim=16, level=4.0)
    log_var = (-log_kappa).expand(n, width).float().numpy()
    return Embeddings(mean.float().numpy(), log_var.copy(), [str(i) for i in range(n)], meta=META)


def test_embeddings_hold_minus_log_kappa() -> None:
    one = embeddings()
    expected = vmf_score(one.mean[:10], -one.log_var[:10], one.mean[10:20], -one.log_var[10:20])
    assert np.array_equal(score_pairs(one[:10], one[10:20], "vmf"), expected)
    matrix = score_matrix(one[:10], one[10:20], "vmf")
    np.testing.assert_allclose(matrix.diagonal(), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(IncompatibleError, match="head"):
        score_pairs(one, replace(one, meta={**META, "head": "other"}), "vmf")


@pytest.mark.parametrize("score", list(SCORES))
@pytest.mark.parametrize("pairs", [0, 1, 3000])
def test_every_score_is_indexed(score: str, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed, "_TASK", 777)
    monkeypatch.setattr(indexed, "_BLOCK_BYTES", 400)
    both, rng = embeddings(), np.random.default_rng(0)
    first, second = rng.integers(0, 30, (2, pairs))
    expected = score_pairs(both[first], both[second], score)
    np.testing.assert_allclose(score_indexed(both, first, second, score), expected, rtol=2e-5, atol=2e-5)
    rows, columns = np.arange(7), np.arange(5, 30)
    table = score_all(both, rows, columns, score)
    np.testing.assert_allclose(table, score_matrix(both[rows], both[columns], score), rtol=2e-5, atol=2e-5)


def test_a_variance_per_dimension_is_refused() -> None:
    many, rows = embeddings(width=16), np.arange(3)
    for call in (
        lambda: score_pairs(many, many, "vmf"),
        lambda: score_matrix(many, many, "vmf"),
        lambda: score_indexed(many, rows, rows, "vmf"),
        lambda: score_all(many, rows, rows, "vmf"),
    ):
        with pytest.raises(ValueError, match=r"'vmf' needs log_var = -log kappa of width 1. Got width 16"):
            call()
