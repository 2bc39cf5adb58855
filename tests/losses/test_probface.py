"""ProbFace's losses, against scalar loops."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from faceunc.losses import genuine_pairs, probface_pair_loss, uncertainty_triplet_loss, variance_regulariser

IDENTITY = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3])
PAIRS = genuine_pairs(IDENTITY, torch.arange(8))


def make(seed: int = 0, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mean = normalize(torch.randn(8, 4, dtype=torch.float64, generator=generator), dim=1)
    return mean, spread * torch.randn(8, 1, dtype=torch.float64, generator=generator) - 1


def distance(mean: Tensor, log_var: Tensor, i: int, j: int) -> tuple[float, float]:
    cosine = sum(a * b for a, b in zip(mean[i].tolist(), mean[j].tolist(), strict=True))
    total = math.exp(float(log_var[i])) + math.exp(float(log_var[j]))
    return 2 * (1 - cosine) / total, math.log(total)


def test_pairs_equal_a_scalar_loop() -> None:
    mean, log_var = make()
    expected = sum(sum(distance(mean, log_var, i, j)) for i, j in PAIRS.tolist()) / len(PAIRS)
    assert float(probface_pair_loss(mean, log_var, PAIRS)) == pytest.approx(expected)


def test_pairs_are_least_at_the_whole_distance() -> None:
    mean, _ = make()
    best = ((mean[PAIRS[:, 0]] - mean[PAIRS[:, 1]]).square().sum(1).mean() / 2).log()
    at = [float(probface_pair_loss(mean, (best + shift).expand(8, 1), PAIRS)) for shift in (-0.01, 0.0, 0.01)]
    assert at[1] < min(at[0], at[2])


def test_regulariser_equals_a_scalar_loop_and_ignores_the_scale() -> None:
    _, log_var = make()
    variance = log_var.exp().flatten().tolist()
    expected = [abs(v / (sum(variance) / 8) - 1) for v in variance]
    assert variance_regulariser(log_var, "none").flatten().tolist() == pytest.approx(expected)
    assert float(variance_regulariser(log_var, "sum")) == pytest.approx(sum(expected))
    assert float(variance_regulariser(log_var)) == pytest.approx(sum(expected) / 8)
    assert torch.allclose(variance_regulariser(log_var + 9), variance_regulariser(log_var))
    assert float(variance_regulariser(torch.full((5, 1), -3.0))) == pytest.approx(0, abs=1e-6)


def triplets_by_hand(mean: Tensor, log_var: Tensor, identity: list[int], margin: float) -> float:
    table = [[distance(mean, log_var, i, j)[0] for j in range(8)] for i in range(8)]
    losses = []
    for a in range(8):
        others = [table[a][n] for n in range(8) if identity[n] != identity[a]]
        for p in range(8):
            if p != a and identity[p] == identity[a] and others:
                beyond = [d for d in others if d > table[a][p]]
                losses.append(max(0.0, margin + table[a][p] - (min(beyond) if beyond else max(others))))
    return sum(losses) / len(losses) if losses else 0.0


@given(st.integers(0, 200), st.lists(st.integers(0, 3), min_size=8, max_size=8), st.floats(0, 5))
def test_triplets_equal_brute_force(seed: int, identity: list[int], margin: float) -> None:
    mean, log_var = make(seed)
    found = uncertainty_triplet_loss(mean, log_var, torch.tensor(identity), margin)
    assert float(found) == pytest.approx(triplets_by_hand(mean, log_var, identity, margin), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("identity", [torch.arange(8), torch.zeros(8, dtype=torch.int64)])
def test_no_triplet_is_zero_with_a_gradient(identity: Tensor) -> None:
    mean, log_var = make()
    loss = uncertainty_triplet_loss(mean, log_var.requires_grad_(), identity)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert log_var.grad is not None
    assert not log_var.grad.any()


def test_gradient() -> None:
    given_ = tuple(part.requires_grad_() for part in make())
    assert torch.autograd.gradcheck(lambda m, s: probface_pair_loss(m, s, PAIRS), given_)
    assert torch.autograd.gradcheck(lambda m, s: uncertainty_triplet_loss(m, s, IDENTITY), given_)
    for reduction in ("mean", "sum", "none"):
        assert torch.autograd.gradcheck(partial(variance_regulariser, reduction=reduction), given_[1:])


def test_float32_follows_float64() -> None:
    mean, log_var = make()
    single = mean.float(), log_var.float()
    for one, other in (
        (probface_pair_loss(*single, PAIRS), probface_pair_loss(mean, log_var, PAIRS)),
        (uncertainty_triplet_loss(*single, IDENTITY), uncertainty_triplet_loss(mean, log_var, IDENTITY)),
        (variance_regulariser(single[1]), variance_regulariser(log_var)),
    ):
        assert one.dtype == torch.float32
        assert float(one) == pytest.approx(float(other), rel=1e-5)


@pytest.mark.parametrize("values", [(-80.0, -80.0), (80.0, 80.0), (-80.0, 80.0)])
def test_extreme_variances_stay_finite_in_float32(values: tuple[float, float]) -> None:
    mean = make()[0].float().requires_grad_()
    log_var = torch.tensor(values).repeat(4)[:, None].requires_grad_()
    for loss in (
        probface_pair_loss(mean, log_var, PAIRS),
        uncertainty_triplet_loss(mean, log_var, IDENTITY),
        variance_regulariser(log_var),
    ):
        loss.backward()
        assert loss.isfinite()
    for part in (mean, log_var):
        assert part.grad is not None
        assert part.grad.isfinite().all()


def test_wrong_input() -> None:
    mean, log_var = make()
    for call, message in (
        (lambda: probface_pair_loss(mean, log_var.expand(8, 4), PAIRS), r"\(B, D\) and \(B, 1\)"),
        (lambda: probface_pair_loss(mean, log_var, PAIRS[:0]), "at least one genuine pair"),
        (lambda: variance_regulariser(log_var[:0]), "at least one row"),
        (lambda: variance_regulariser(log_var, ""), "reduction must be"),
        (lambda: uncertainty_triplet_loss(mean, log_var[:, 0], IDENTITY), r"\(B, D\) and \(B, 1\)"),
        (lambda: uncertainty_triplet_loss(mean, log_var, IDENTITY[:3]), "identity must be"),
        (lambda: uncertainty_triplet_loss(mean, log_var, IDENTITY, -1.0), "margin must be at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
