"""PFE's loss on gathered pairs, against the masked B x B broadcast."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.losses import genuine_pairs, mutual_likelihood_loss

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=12)


@given(rows)
def test_pairs_against_brute_force(batch: list[tuple[int, int]]) -> None:
    identity, image = np.array(batch, np.int64).reshape(-1, 2).T.copy()
    expected = [
        [i, j]
        for i in range(len(batch))
        for j in range(i + 1, len(batch))
        if batch[i][0] == batch[j][0] and batch[i][1] != batch[j][1]
    ]
    found = genuine_pairs(torch.from_numpy(identity), torch.from_numpy(image))
    assert found.shape == (len(expected), 2)
    assert found.tolist() == expected


def test_two_views_of_one_photograph_are_no_pair() -> None:
    assert len(genuine_pairs(torch.tensor([7, 7, 7]), torch.tensor([1, 1, 1]))) == 0


def batch(width: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    make = torch.Generator().manual_seed(0)
    mean = normalize(torch.randn(9, 4, dtype=torch.float64, generator=make), dim=1)
    log_var = torch.randn(9, width, dtype=torch.float64, generator=make) - 3
    return mean, log_var, torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3]), torch.tensor([0, 0, 1, 2, 3, 4, 5, 6, 7])


@pytest.mark.parametrize("width", [1, 4])
def test_equals_the_masked_broadcast(width: int) -> None:
    mean, log_var, identity, image = batch(width)
    variance = log_var.exp()
    s = variance[:, None] + variance[None]
    table = ((mean[:, None] - mean[None]).square() / s + s.log().expand(9, 9, 4)).sum(-1)
    mask = (identity[:, None] == identity[None]) & (image[:, None] != image[None])
    loss = mutual_likelihood_loss(mean, log_var, genuine_pairs(identity, image))
    assert torch.allclose(loss, table[mask].mean())


@pytest.mark.parametrize("width", [1, 4])
def test_gradient(width: int) -> None:
    mean, log_var, identity, image = batch(width)
    pairs = genuine_pairs(identity, image)
    assert torch.autograd.gradcheck(
        lambda m, v: mutual_likelihood_loss(m, v, pairs), (mean.requires_grad_(), log_var.requires_grad_())
    )


@pytest.mark.parametrize("width", [1, 4])
def test_several_networks_at_once(width: int) -> None:
    mean, log_var, identity, image = batch(width)
    pairs = genuine_pairs(identity, image)
    several = torch.stack([log_var, log_var + 0.5, log_var.flip(0)]).requires_grad_()
    expected = torch.stack([mutual_likelihood_loss(mean, one, pairs) for one in several]).mean()
    found = mutual_likelihood_loss(mean, several, pairs)
    assert torch.allclose(found, expected)
    assert torch.allclose(*(torch.autograd.grad(loss, several)[0] for loss in (found, expected)))
    assert torch.autograd.gradcheck(
        lambda m, v: mutual_likelihood_loss(m, v, pairs), (mean.requires_grad_(), several.detach().requires_grad_())
    )


@pytest.mark.parametrize("width", [1, 4])
@pytest.mark.parametrize("level", [-80.0, 80.0])
def test_finite_in_float32_where_it_says_so(width: int, level: float) -> None:
    mean, log_var, identity, image = batch(width)
    extreme = torch.full_like(log_var, level).float().requires_grad_()
    loss = mutual_likelihood_loss(mean.float(), extreme, genuine_pairs(identity, image))
    (gradient,) = torch.autograd.grad(loss, extreme)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_least_at_the_derived_variance() -> None:
    mean, _, identity, image = batch(1)
    pairs = genuine_pairs(identity, image)
    best = ((mean[pairs[:, 0]] - mean[pairs[:, 1]]).square().sum(1).mean() / 8).log()
    at = [float(mutual_likelihood_loss(mean, (best + shift).expand(9, 1), pairs)) for shift in (-0.1, 0.0, 0.1)]
    assert at[1] < min(at[0], at[2])


def test_normally_negative() -> None:
    mean, _, identity, image = batch(1)
    same = mean[identity]
    assert mutual_likelihood_loss(same, torch.full((9, 1), -7.0).double(), genuine_pairs(identity, image)) < 0


def test_no_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one genuine pair"):
        mutual_likelihood_loss(torch.zeros(2, 3), torch.zeros(2, 1), torch.empty(0, 2, dtype=torch.int64))
