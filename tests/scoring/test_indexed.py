"""Comparisons by lists of rows against the same comparisons of gathered rows."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.embeddings import Embeddings
from faceunc.scoring import indexed
from faceunc.scoring.embedded import score_pairs
from faceunc.scoring.indexed import score_indexed


def embeddings(count: int = 50, dim: int = 33, width: int = 33) -> Embeddings:
    rng = np.random.default_rng(dim + width)
    mean = rng.normal(size=(count, dim))
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    log_var = rng.normal(-5, 3, (count, width)).astype(np.float32)
    return Embeddings(mean.astype(np.float32), log_var, [str(i) for i in range(count)])


@pytest.mark.parametrize("score", ["cosine", "mls"])
@pytest.mark.parametrize(("dim", "width"), [(33, 33), (33, 1), (1, 1), (128, 128)])
@pytest.mark.parametrize("pairs", [0, 1, 5000])
def test_the_same_as_gathered_rows(
    score: str, dim: int, width: int, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed, "_TASK", 777)
    monkeypatch.setattr(indexed, "_BLOCK_BYTES", 10_000)
    both, rng = embeddings(dim=dim, width=width), np.random.default_rng(0)
    first, second = rng.integers(0, 50, pairs), rng.integers(0, 50, pairs)
    expected = score_pairs(both[first], both[second], score)
    np.testing.assert_allclose(score_indexed(both, first, second, score), expected, rtol=2e-5, atol=2e-5)


def test_wrong_input() -> None:
    both, rows = embeddings(), np.arange(3)
    with pytest.raises(ValueError, match="score must be one of"):
        score_indexed(both, rows, rows, "nonsense")
    with pytest.raises(ValueError, match=r"must be \(P,\)"):
        score_indexed(both, rows, rows[1:])
    for bad in (np.array([0, 1, 50]), np.array([-1, 0, 1])):
        with pytest.raises(IndexError, match="positions"):
            score_indexed(both, rows, bad)
    extreme = Embeddings(both.mean, both.log_var - 100, both.ids)
    with pytest.raises(ValueError, match="log_var must be in"):
        score_indexed(extreme, rows, rows)
