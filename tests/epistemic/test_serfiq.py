"""SER-FIQ against a plain double loop over pairs of passes."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from faceunc.epistemic import serfiq as module
from faceunc.epistemic.dropout import dropout_masks
from faceunc.epistemic.serfiq import serfiq_score

N, P, D = 5, 30, 8
RNG = np.random.default_rng(0)
REDUCED = torch.from_numpy(RNG.normal(size=(N, P))).float()
WEIGHT, BIAS = (torch.from_numpy(RNG.normal(size=shape)).float() for shape in ((D, P), (D,)))
LINEAR = partial(F.linear, weight=WEIGHT, bias=BIAS)


@pytest.mark.parametrize(("passes", "rate", "seed"), [(2, 0.5, 0), (12, 0.5, 3), (12, 0.1, 0)])
def test_against_a_double_loop(passes: int, rate: float, seed: int) -> None:
    masks = dropout_masks(passes, P, rate, seed).numpy().astype(np.float64)
    expected = []
    for x in REDUCED.numpy().astype(np.float64):
        raw = [WEIGHT.numpy() @ (mask * x) + BIAS.numpy() for mask in masks]
        unit = [r / np.linalg.norm(r) for r in raw]
        distance = np.mean([np.linalg.norm(a - b) for a, b in itertools.combinations(unit, 2)])
        expected.append(2.0 / (1.0 + np.exp(distance)))
    np.testing.assert_allclose(serfiq_score(REDUCED, LINEAR, passes, rate, seed), expected, atol=1e-6)


def test_no_dropout_is_the_best_quality() -> None:
    assert torch.equal(serfiq_score(REDUCED, LINEAR, 5, 0.0), torch.ones(N))


def test_more_dropout_is_worse() -> None:
    scores = [serfiq_score(REDUCED, LINEAR, 50, rate).mean() for rate in (0.0, 0.1, 0.3, 0.5, 0.8)]
    assert all(a > b for a, b in itertools.pairwise(scores))


def test_a_weak_image_is_worse() -> None:
    """Noise in the inputs counts for less when the signal is strong: the embedding then stays where it is."""
    signal = torch.zeros(P)
    signal[: P // 2] = 1.0
    last = partial(F.linear, weight=torch.eye(P)[:D] + signal)
    strengths = (10.0, 1.0, 0.1)
    scores = serfiq_score(torch.stack([REDUCED[0] + s * signal for s in strengths]), last, 100)
    assert scores[0] > scores[1] > scores[2]


def test_blocks_order_batch_and_global_seed_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = serfiq_score(REDUCED, LINEAR, 10)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    torch.testing.assert_close(serfiq_score(REDUCED.flip(0), LINEAR, 10).flip(0), whole)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(serfiq_score(REDUCED, LINEAR, 10), whole)
    monkeypatch.setattr(module, "rows_a_block", lambda passes, width: 2)
    torch.testing.assert_close(serfiq_score(REDUCED, LINEAR, 10), whole)


def test_a_module_with_batch_norm_keeps_its_statistics() -> None:
    last = nn.Sequential(nn.Linear(P, D), nn.BatchNorm1d(D))
    with pytest.raises(ValueError, match="last must be in eval mode"):
        serfiq_score(REDUCED, last, 5)
    state = {name: value.clone() for name, value in last.eval().state_dict().items()}
    score = serfiq_score(REDUCED, last, 5)
    assert not score.requires_grad
    assert score.min() > 0.0
    assert score.max() < 1.0
    assert all(torch.equal(value, state[name]) for name, value in last.state_dict().items())


def test_no_images_and_double_precision() -> None:
    assert serfiq_score(REDUCED[:0], LINEAR, 5).shape == (0,)
    in_double = partial(F.linear, weight=WEIGHT.double(), bias=BIAS.double())
    torch.testing.assert_close(serfiq_score(REDUCED.double(), in_double, 5).float(), serfiq_score(REDUCED, LINEAR, 5))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"passes must be at least 2\. Got 1 instead"):
        serfiq_score(REDUCED, LINEAR, 1)
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\). Got 1.0 instead"):
        serfiq_score(REDUCED, LINEAR, 5, 1.0)
    with pytest.raises(ValueError, match=r"reduced must be \(N, P\)"):
        serfiq_score(REDUCED[0], LINEAR, 5)
