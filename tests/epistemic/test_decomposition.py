"""Decompositions against numpy and scipy in float64, and the laws they obey."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import Tensor

from faceunc.epistemic.decomposition import (
    Decomposition,
    decompose_classification,
    decompose_embeddings,
    decompose_regression,
    mean_and_variance,
)

M, B, D = 7, 5, 4


def draws(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.0, scale, shape))


@pytest.mark.parametrize("width", [D, 1])
def test_regression_is_the_law_of_total_variance(width: int) -> None:
    means, log_vars = draws(M, B, D), draws(M, B, width, seed=1)
    parts = decompose_regression(means, log_vars)
    np.testing.assert_allclose(parts.mean, means.numpy().mean(0))
    np.testing.assert_allclose(parts.epistemic, means.numpy().var(0))
    expected = np.broadcast_to(np.exp(log_vars.numpy()).mean(0), (B, D))
    np.testing.assert_allclose(parts.aleatoric, expected)
    np.testing.assert_allclose(parts.total, expected + means.numpy().var(0))


def test_regression_total_is_the_variance_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    means, log_vars = draws(3, 1, 1), draws(3, 1, 1, seed=1)
    member = rng.integers(0, 3, 400_000)
    samples = rng.normal(means[:, 0, 0].numpy()[member], np.exp(0.5 * log_vars[:, 0, 0].numpy())[member])
    assert decompose_regression(means, log_vars).total.item() == pytest.approx(samples.var(), rel=0.02)


def test_regression_keeps_a_small_variance_beside_a_large_mean() -> None:
    means = (1000.0 + draws(M, B, D, scale=1e-2)).float()
    expected = means.double().numpy().var(0)
    np.testing.assert_allclose(decompose_regression(means, torch.zeros(M, B, 1)).epistemic, expected, rtol=1e-4)


@pytest.mark.parametrize("classes", [1, 2, 6])
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_classification_against_scipy(classes: int, scale: float) -> None:
    logits = draws(M, B, classes, scale=scale)
    parts = decompose_classification(logits)
    p = softmax(logits.numpy(), -1)
    np.testing.assert_allclose(parts.mean, p.mean(0), atol=1e-15)
    np.testing.assert_allclose(parts.total, entropy(p.mean(0), axis=-1), atol=1e-12)
    np.testing.assert_allclose(parts.aleatoric, entropy(p, axis=-1).mean(0), atol=1e-12)
    np.testing.assert_allclose(parts.epistemic, entropy(p.mean(0), axis=-1) - entropy(p, axis=-1).mean(0), atol=1e-12)
    in_float = decompose_classification(logits.float())
    np.testing.assert_allclose(in_float.epistemic, parts.epistemic, atol=1e-5)
    assert in_float.epistemic.min() >= 0.0


def test_classification_takes_log_probabilities() -> None:
    logits = draws(M, B, D)
    again = decompose_classification(torch.log_softmax(logits, -1))
    np.testing.assert_allclose(again.total, decompose_classification(logits).total)


def test_members_that_are_sure_of_different_classes() -> None:
    """All uncertainty is epistemic, log M of it."""
    one_hot = torch.eye(4).log()[:, None]
    parts = decompose_classification(one_hot)
    torch.testing.assert_close(parts.mean, torch.full((1, 4), 0.25))
    assert parts.aleatoric.item() == 0.0
    assert parts.total.item() == pytest.approx(math.log(4))
    assert parts.epistemic.item() == pytest.approx(math.log(4))


def test_members_that_agree_in_one_class_or_in_doubt() -> None:
    sure = decompose_classification(torch.tensor([0.0, -math.inf]).expand(3, 2, 2))
    for part in (sure.total, sure.aleatoric, sure.epistemic):
        torch.testing.assert_close(part, torch.zeros(2), atol=1e-7, rtol=0.0)
    doubt = decompose_classification(torch.zeros(3, 2, 5))
    torch.testing.assert_close(doubt.aleatoric, torch.full((2,), math.log(5)))
    torch.testing.assert_close(doubt.epistemic, torch.zeros(2), atol=1e-6, rtol=0.0)


def test_mutual_information_is_never_negative() -> None:
    close = (draws(1, 500, 10) + draws(20, 500, 10, seed=1, scale=1e-5)).float()
    assert decompose_classification(close).epistemic.min() >= 0.0


def test_embeddings_mean_and_spread() -> None:
    embeddings = draws(M, B, D)
    parts = decompose_embeddings(5.0 * embeddings)
    unit = embeddings.numpy() / np.linalg.norm(embeddings.numpy(), axis=-1, keepdims=True)
    average = unit.mean(0)
    np.testing.assert_allclose(parts.mean, average / np.linalg.norm(average, axis=-1, keepdims=True))
    np.testing.assert_allclose(parts.epistemic, unit.var(0).mean(-1))
    np.testing.assert_allclose(parts.epistemic, (1.0 - np.linalg.norm(average, axis=-1) ** 2) / D)
    assert torch.equal(parts.aleatoric, torch.zeros(B, dtype=torch.float64))
    assert torch.equal(parts.total, parts.epistemic)


@pytest.mark.parametrize("width", [D, 1])
def test_embeddings_with_the_noise_of_a_head(width: int) -> None:
    embeddings, log_vars = draws(M, B, D), draws(M, B, width, seed=1)
    parts = decompose_embeddings(embeddings, log_vars)
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    by_dimension = decompose_regression(unit, log_vars)
    torch.testing.assert_close(parts.total, by_dimension.total.mean(-1))
    torch.testing.assert_close(parts.aleatoric, by_dimension.aleatoric.mean(-1))


def test_opposite_embeddings_are_the_most_uncertain() -> None:
    pair = torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]])
    assert decompose_embeddings(pair).epistemic.item() == 0.5


def every(members: Tensor) -> list[Decomposition]:
    return [
        decompose_regression(members, torch.zeros(len(members), members.shape[1], 1)),
        decompose_classification(members),
        decompose_embeddings(members),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_member_knows_no_epistemic_uncertainty(dtype: torch.dtype) -> None:
    for parts in every(draws(1, B, D).to(dtype)):
        assert torch.equal(parts.epistemic, torch.zeros_like(parts.epistemic))
        assert torch.equal(parts.total, parts.aleatoric)
        assert parts.mean.dtype == parts.total.dtype == dtype


def test_order_of_the_members_does_not_matter() -> None:
    members = draws(M, B, D)
    for one, other in zip(every(members), every(members.flip(0)), strict=True):
        torch.testing.assert_close(one.total, other.total)
        torch.testing.assert_close(one.epistemic, other.epistemic)


def test_sum_shapes_length_and_inputs_left_alone() -> None:
    members = draws(M, B, D)
    before = members.clone()
    for parts in every(members):
        assert len(parts) == B
        assert parts.mean.shape == (B, D)
        assert parts.aleatoric.shape == parts.epistemic.shape == parts.total.shape
        assert torch.equal(parts.total, parts.aleatoric + parts.epistemic)
    assert torch.equal(members, before)
    for parts in every(members[:, :0]):
        assert len(parts) == 0


@pytest.mark.parametrize("count", [1, 3, 7])
def test_equal_members_have_no_variance_at_all(count: int) -> None:
    member = draws(B, D).float()
    mean, variance = mean_and_variance(member.expand(count, B, D))
    assert torch.equal(mean, member)
    assert torch.equal(variance, torch.zeros(B, D))


def test_differentiable() -> None:
    members = draws(3, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: decompose_classification(x).epistemic, members)
    assert torch.autograd.gradcheck(lambda x: decompose_embeddings(x).epistemic, members)
    assert torch.autograd.gradcheck(lambda x: decompose_regression(x, x).total, members)


@pytest.mark.parametrize(
    "members", [torch.zeros(5, 4), torch.zeros(0, 5, 4), torch.zeros(2, 5, 0), torch.zeros(2, 5, 4, dtype=torch.int64)]
)
def test_members_of_other_shapes(members: Tensor) -> None:
    for decompose in (decompose_classification, decompose_embeddings):
        with pytest.raises(ValueError, match=r"must be real \(M, B, D\).* Got .* instead"):
            decompose(members)
    with pytest.raises(ValueError, match="means must be real"):
        decompose_regression(members, members)


@pytest.mark.parametrize("shape", [(M, B, 2), (M, B), (1, B, D), (M, 1, D)])
def test_log_vars_of_other_shapes(shape: tuple[int, ...]) -> None:
    for decompose in (decompose_regression, decompose_embeddings):
        with pytest.raises(ValueError, match=r"log_vars must be \(7, 5, 4\) or \(7, 5, 1\). Got"):
            decompose(draws(M, B, D), torch.zeros(shape))
