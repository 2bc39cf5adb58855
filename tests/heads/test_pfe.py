"""PFE's variance head."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import pytest
import torch

from faceunc.heads.base import MIN_VARIANCE
from faceunc.heads.pfe import ARCHITECTURES, VARIANCES, PFEConfig, PFEHead

kinds = pytest.mark.parametrize(("architecture", "variance"), list(itertools.product(ARCHITECTURES, VARIANCES)))


def head_of(architecture: str, variance: str, bias: float = -7.0) -> PFEHead:
    torch.manual_seed(0)
    return PFEHead(PFEConfig((6, 3, 2), 5, architecture, variance, hidden=8, bias=bias))


def maps(n: int = 4) -> torch.Tensor:
    return torch.randn(n, 6, 3, 2, generator=torch.Generator().manual_seed(1))


@kinds
def test_shape_and_two_steps(architecture: str, variance: str) -> None:
    head = head_of(architecture, variance).eval()
    log_var = head(maps())
    assert log_var.shape == (4, 5 if variance == "per-dimension" else 1)
    assert torch.equal(log_var, head.from_pooled(head.pool(maps())))
    assert torch.allclose(head(maps()[:1]), log_var[:1], atol=1e-6)


@kinds
def test_starts_at_the_bias(architecture: str, variance: str) -> None:
    log_var = head_of(architecture, variance, bias=-5.5)(maps())
    expected = math.log(math.exp(-5.5) + MIN_VARIANCE)
    assert torch.allclose(log_var, torch.full_like(log_var, expected), atol=1e-3 if architecture == "paper" else 1e-6)


@kinds
def test_log_var_has_a_floor(architecture: str, variance: str) -> None:
    log_var = head_of(architecture, variance, bias=-200.0)(maps())
    assert torch.allclose(log_var, torch.full_like(log_var, math.log(MIN_VARIANCE)))


@kinds
def test_every_parameter_learns(architecture: str, variance: str) -> None:
    head = head_of(architecture, variance)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1)
    target = torch.randn(4, head.config.outputs)
    for _ in range(2):  # the last layer of the pooled head starts at zero and lets nothing through at first
        optimizer.zero_grad()
        (head(maps()) - target).square().sum().backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_pooled_takes_mean_and_deviation_over_space() -> None:
    pooled = head_of("pooled", "scalar").pool(maps())
    flat = maps().flatten(2)
    assert torch.allclose(pooled, torch.cat([flat.mean(2), flat.std(2, correction=0)], 1), atol=1e-5)


def test_a_constant_map_has_no_deviation() -> None:
    pooled = head_of("pooled", "scalar").pool(torch.full((2, 6, 3, 2), 0.1))
    assert pooled.isfinite().all()
    assert torch.allclose(pooled[:, 6:], torch.zeros(2, 6), atol=1e-3)


def test_paper_keeps_the_map() -> None:
    assert torch.equal(head_of("paper", "scalar").pool(maps()), maps().flatten(1))


@pytest.mark.parametrize(("architecture", "variance"), [("Paper", "scalar"), ("paper", "diagonal")])
def test_unknown_choices(architecture: str, variance: str) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        PFEConfig((6, 3, 2), 5, architecture, variance)


@kinds
def test_config_survives_json(architecture: str, variance: str) -> None:
    config = PFEConfig((6, 3, 2), 5, architecture, variance, bias=-6.25)
    values = json.loads(json.dumps(config.to_dict()))
    values["feature_shape"] = tuple(values["feature_shape"])
    assert PFEConfig(**values) == config


def test_the_members_are_averaged_and_differ() -> None:
    torch.manual_seed(0)
    head = PFEHead(PFEConfig((6, 3, 2), 5, hidden=8, members=3)).eval()
    for body in head.bodies:
        torch.nn.init.normal_(body[-1].weight)
    pooled = head.pool(torch.rand(4, 6, 3, 2))
    members = torch.stack(head.member_outputs(pooled))
    assert members.shape == (3, 4, 5)
    assert not torch.allclose(members[0], members[1])
    floor = torch.full((4, 5), math.log(1e-6))
    assert torch.allclose(head.from_pooled(pooled), torch.logaddexp(members.mean(0), floor), atol=1e-5)


def test_spread_stretches_about_the_centre() -> None:
    torch.manual_seed(0)
    head = PFEHead(PFEConfig((6, 3, 2), 5, hidden=8)).eval()
    for body in head.bodies:
        torch.nn.init.normal_(body[-1].weight, std=0.3)
    pooled = head.pool(torch.rand(4, 6, 3, 2))
    plain = head.from_pooled(pooled)
    head.config = dataclasses.replace(head.config, spread=1.5, centre=-6.0)
    raw = torch.stack(head.member_outputs(pooled)).mean(0)
    expected = torch.logaddexp(-6.0 + 1.5 * (raw + 6.0), torch.full_like(raw, math.log(1e-6)))
    assert torch.allclose(head.from_pooled(pooled), expected, atol=1e-6)
    assert not torch.allclose(plain, expected)


def test_norm_is_one_more_input() -> None:
    head = PFEHead(PFEConfig((6, 3, 2), 5, hidden=4, norm=True)).eval()
    plain = PFEHead(PFEConfig((6, 3, 2), 5, hidden=4))
    norm = torch.tensor([1.0, 2.0, 3.0, 4.0])
    pooled = head.pool(maps()[:4], norm)
    assert torch.equal(pooled[:, :-1], plain.pool(maps()[:4], norm))
    assert torch.allclose(pooled[:, -1], norm.log())
    with pytest.raises(ValueError, match="norm must be given"):
        head(maps())
    with pytest.raises(ValueError, match="norm must be False"):
        PFEConfig((6, 3, 2), 5, architecture="paper", norm=True)
