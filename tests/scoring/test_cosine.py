"""Cosine similarity."""

from __future__ import annotations

import math

import numpy as np
import torch

from faceunc.scoring import cosine_score


def test_equals_a_scalar_loop() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 7, 5))
    expected = [
        sum(x * y for x, y in zip(u, v, strict=True)) / math.sqrt(sum(x * x for x in u) * sum(y * y for y in v))
        for u, v in zip(a, b, strict=True)
    ]
    assert np.allclose(cosine_score(a, b), expected, atol=1e-12)


def test_stays_inside_its_range_in_float32() -> None:
    a = np.random.default_rng(0).standard_normal((5000, 128)).astype(np.float32)
    same, opposite = cosine_score(a, a), cosine_score(a, -a)
    assert same.max() <= 1.0
    assert opposite.min() >= -1.0
    assert np.allclose(same, 1.0, atol=1e-5)


def test_ignores_length_is_symmetric_and_broadcasts() -> None:
    a, b = torch.randn(4, 6, generator=torch.Generator().manual_seed(0)).split(2)
    table = cosine_score(a[:, None], b[None])
    assert table.shape == (2, 2)
    assert torch.allclose(table, cosine_score(5 * b[None], 3 * a[:, None]), atol=1e-6)
    assert torch.allclose(table.diagonal(), cosine_score(a, b), atol=1e-6)


def test_gradient() -> None:
    a, b = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).unbind()
    assert torch.autograd.gradcheck(cosine_score, (a.requires_grad_(), b.requires_grad_()))
