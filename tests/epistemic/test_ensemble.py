"""Ensembles of heads: one uncertain embedding of many, and the people of each member."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.epistemic.ensemble import bootstrap_people, combine_members

M, B, D = 4, 6, 5
PEOPLE = [f"person {i}" for i in range(200)]


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.parametrize("width", [D, 1])
def test_against_numpy(width: int) -> None:
    means, log_vars = draws(M, B, D), draws(M, B, width, seed=1)
    unit = means.numpy() / np.linalg.norm(means.numpy(), axis=-1, keepdims=True)
    aleatoric = np.exp(log_vars.numpy()).mean(0)
    among = unit.var(0) if width > 1 else unit.var(0).mean(-1, keepdims=True)
    for variance, expected in (("aleatoric", aleatoric), ("total", aleatoric + among)):
        output = combine_members(means, log_vars, variance)
        assert output.log_var.shape == (B, width)
        np.testing.assert_allclose(output.log_var.exp(), expected)
        average = unit.mean(0)
        np.testing.assert_allclose(output.mean, average / np.linalg.norm(average, axis=-1, keepdims=True))
        np.testing.assert_allclose(output.epistemic, unit.var(0).mean(-1))
        np.testing.assert_allclose(output.log_var_spread, log_vars.numpy().var(0).mean(-1))
        assert len(output) == B


@pytest.mark.parametrize("width", [D, 1])
def test_one_frozen_mean(width: int) -> None:
    """No epistemic part of the mean; what is left is how far the members disagree about sigma."""
    mean, log_vars = F.normalize(draws(B, D).float(), dim=1), draws(M, B, width, seed=1).float()
    total = combine_members(mean.expand(M, B, D), log_vars)
    assert torch.equal(total.epistemic, torch.zeros(B))
    assert torch.equal(total.log_var, combine_members(mean.expand(M, B, D), log_vars, "aleatoric").log_var)
    torch.testing.assert_close(total.mean, mean)
    assert total.log_var_spread.min() > 0.0


def test_one_member_comes_back() -> None:
    means, log_vars = F.normalize(draws(1, B, D), dim=-1), draws(1, B, D, seed=1)
    output = combine_members(means, log_vars)
    torch.testing.assert_close(output.mean, means[0])
    torch.testing.assert_close(output.log_var, log_vars[0])
    assert not output.epistemic.any()
    assert not output.log_var_spread.any()


def test_far_apart_log_vars_do_not_overflow() -> None:
    log_vars = torch.tensor([-300.0, 300.0]).view(2, 1, 1)
    expected = torch.tensor([[300.0 - np.log(2.0)]], dtype=torch.float32)
    torch.testing.assert_close(combine_members(torch.ones(2, 1, 3), log_vars, "aleatoric").log_var, expected)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variance must be one of total, aleatoric\. Got 'epistemic' instead"):
        combine_members(draws(M, B, D), draws(M, B, D), "epistemic")
    with pytest.raises(ValueError, match=r"log_vars must be \(4, 6, 5\) or \(4, 6, 1\)"):
        combine_members(draws(M, B, D), draws(M, B, 2))


def test_bootstrap_draws_as_many_as_there_are() -> None:
    counts = [bootstrap_people(PEOPLE, 0, member) for member in range(30)]
    assert all(sum(drawn.values()) == len(PEOPLE) and min(drawn.values()) >= 1 for drawn in counts)
    assert np.mean([len(drawn) for drawn in counts]) == pytest.approx((1 - np.exp(-1)) * len(PEOPLE), rel=0.02)
    drawn_ever = {name: sum(drawn.get(name, 0) for drawn in counts) for name in PEOPLE}
    assert set().union(*counts) == set(PEOPLE)
    assert max(drawn_ever.values()) < 60


def test_bootstrap_depends_on_people_seed_and_member_alone() -> None:
    one = bootstrap_people(PEOPLE, 0, 0)
    assert one == bootstrap_people([*reversed(PEOPLE), PEOPLE[3]], 0, 0)
    assert list(one) == sorted(one)
    assert one != bootstrap_people(PEOPLE, 0, 1)
    assert one != bootstrap_people(PEOPLE, 1, 0)
    assert bootstrap_people(["one"], 5, 5) == {"one": 1}


def test_bootstrap_refuses() -> None:
    with pytest.raises(ValueError, match="people must be at least one"):
        bootstrap_people([], 0, 0)
    for seed, member in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match=f"Got {seed} and {member} instead"):
            bootstrap_people(PEOPLE, seed, member)
