"""Sampled logits: scalar loops over the same noise, numerical integration, Jensen's inequality."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses import (
    heteroscedastic_classification_loss,
    mean_of_losses_classification_loss,
    sigmoid_focal_loss,
    softmax_focal_loss,
)
from faceunc.losses.classification import sample_logits

widths = pytest.mark.parametrize("width", [1, 3])
BOTH = (heteroscedastic_classification_loss, mean_of_losses_classification_loss)
both = pytest.mark.parametrize("loss", BOTH)


def make(width: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 3, dtype=torch.float64, generator=generator)
    return logits, torch.randn(4, width, dtype=torch.float64, generator=generator), torch.tensor([0, 2, 1, 2])


def seeded(seed: int = 5) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@widths
def test_scalar_loops_over_the_same_noise(width: int) -> None:
    logits, log_var, target = make(width)
    noise = torch.randn(7, 4, 3, dtype=torch.float64, generator=seeded()).tolist()
    of_mean, of_losses = [], []
    for b in range(4):
        probabilities = []
        for t in range(7):
            sigma = [math.exp(0.5 * float(log_var[b, min(c, width - 1)])) for c in range(3)]
            x = [math.exp(float(logits[b, c]) + sigma[c] * noise[t][b][c]) for c in range(3)]
            probabilities.append(x[int(target[b])] / sum(x))
        of_mean.append(-math.log(sum(probabilities) / 7))
        of_losses.append(-sum(map(math.log, probabilities)) / 7)
    for loss, expected in zip(BOTH, (of_mean, of_losses), strict=True):
        found = loss(logits, log_var, target, samples=7, generator=seeded(), reduction="none")
        assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64))


def test_many_samples_reach_the_integral() -> None:
    """Two classes: p = E sigmoid(z), z normal. 200,000 samples: standard error below 1e-3, tolerance 5e-3."""
    logits, log_var = torch.tensor([[0.3, -0.8]]).double(), torch.tensor([[0.4, 1.0]]).double()
    mean, sd = 1.1, math.sqrt(math.exp(0.4) + math.exp(1.0))
    z = torch.linspace(mean - 12 * sd, mean + 12 * sd, 20_001, dtype=torch.float64)
    density = torch.distributions.Normal(mean, sd).log_prob(z).exp()
    expected = -math.log(float(torch.trapezoid(torch.sigmoid(z) * density, z)))
    found = heteroscedastic_classification_loss(logits, log_var, torch.tensor([0]), 200_000, seeded())
    assert float(found) == pytest.approx(expected, abs=5e-3)


def test_the_mean_of_losses_is_an_upper_bound() -> None:
    logits, log_var, target = make()
    lower, upper = (loss(logits, log_var, target, samples=20, generator=seeded(), reduction="none") for loss in BOTH)
    assert (lower < upper).all()
    one, other = (loss(logits, log_var, target, samples=1, generator=seeded()) for loss in BOTH)
    assert torch.allclose(one, other)


@both
def test_no_noise_is_cross_entropy(loss: partial[Tensor]) -> None:
    logits, _, target = make()
    found = loss(logits, torch.full((4, 1), -80.0).double(), target, samples=3)
    assert torch.allclose(found, F.cross_entropy(logits, target))


def test_other_base_losses() -> None:
    logits, log_var, target = make()
    sampled = sample_logits(logits, log_var, 6, seeded())
    focal = partial(softmax_focal_loss, reduction="none")
    found = mean_of_losses_classification_loss(logits, log_var, target, focal, 6, seeded(), "none")
    assert torch.allclose(found, torch.stack([focal(x, target) for x in sampled]).mean(0))

    labels = F.one_hot(target, 3).double()
    several = partial(sigmoid_focal_loss, reduction="none")
    found = mean_of_losses_classification_loss(logits, log_var, labels, several, 6, seeded(), "none")
    assert found.shape == (4, 3)
    assert torch.allclose(found, torch.stack([several(x, labels) for x in sampled]).mean(0))


@both
@widths
def test_gradient(loss: partial[Tensor], width: int) -> None:
    logits, log_var, target = make(width)
    assert torch.autograd.gradcheck(
        lambda x, s: loss(x, s, target, samples=5, generator=seeded()),
        (logits.requires_grad_(), log_var.requires_grad_()),
    )


@both
def test_reductions_and_float32(loss: partial[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    logits, log_var, target = make()
    call = partial(loss, samples=5)
    values = call(logits, log_var, target, generator=seeded(), reduction="none")
    for reduction, expected in (("mean", values.mean()), ("sum", values.sum())):
        assert torch.allclose(call(logits, log_var, target, generator=seeded(), reduction=reduction), expected)
    noise = torch.randn(5, 4, 3, dtype=torch.float64, generator=seeded())
    monkeypatch.setattr(torch, "randn", lambda *shape, dtype, **_: noise.to(dtype))
    wide = call(logits, log_var, target, reduction="none")
    single = call(logits.float(), log_var.float(), target, reduction="none")
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), wide, rtol=1e-5, atol=1e-6)


@both
@pytest.mark.parametrize("log_var", [-80.0, 80.0])
def test_extreme_variances_stay_finite_in_float32(loss: partial[Tensor], log_var: float) -> None:
    logits, _, target = make()
    s = torch.full((4, 3), log_var, requires_grad=True)
    value = loss(logits.float(), s, target, samples=4, generator=seeded())
    value.backward()
    assert value.isfinite()
    assert s.grad is not None
    assert s.grad.isfinite().all()


@both
def test_wrong_input(loss: partial[Tensor]) -> None:
    logits, log_var, target = make()
    for arguments, message in (
        ((logits[0], log_var[0], target[:3]), r"logits must be \(B, C\)"),
        ((logits, log_var[:, :2], target), "log_var must be"),
        ((logits, log_var[0], target), "log_var must be"),
        ((logits, log_var, target[:3]), "target must be"),
        ((logits, log_var, target[:, None]), "target must be"),
    ):
        with pytest.raises(ValueError, match=message):
            loss(*arguments)
    with pytest.raises(ValueError, match="samples must be at least 1"):
        loss(logits, log_var, target, samples=0)
    with pytest.raises(ValueError, match="reduction must be"):
        loss(logits, log_var, target, reduction="all")


def test_a_reduced_base_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="loss must give one row"):
        mean_of_losses_classification_loss(*make(), F.cross_entropy)
