"""Scores between Embeddings: the table of scores, the matrix against the pairs, and what may not be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from faceunc.embeddings import Embeddings
from faceunc.errors import IncompatibleError
from faceunc.scoring import embedded
from faceunc.scoring.cosine import cosine_score
from faceunc.scoring.embedded import SCORES, score_matrix, score_pairs
from faceunc.scoring.mls import mutual_likelihood_score

META = {"backbone": "b", "backbone_sha256": "1", "alignment": "a", "head": "h", "head_sha256": "2"}
every = pytest.mark.parametrize("score", list(SCORES))


def make(count: int, width: int = 8, seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal((count, 8)).astype(np.float32)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    log_var = rng.uniform(-8, -4, (count, width)).astype(np.float32)
    return Embeddings(mean, log_var, [f"{i}" for i in range(count)], meta=META)


def test_pairs_are_the_plain_functions() -> None:
    a, b = make(5), make(5, seed=1)
    assert np.array_equal(score_pairs(a, b, "cosine"), cosine_score(a.mean, b.mean))
    assert np.array_equal(score_pairs(a, b), mutual_likelihood_score(a.mean, a.log_var, b.mean, b.log_var))


@every
@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (7, 4)])
def test_the_matrix_holds_the_pairs(
    score: str, width: int, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if score == "vmf" and width > 1:
        pytest.skip("one concentration a photograph")
    monkeypatch.setattr(embedded, "_BLOCK_ELEMENTS", 2 * 8 * max(1, shape[1]))  # blocks of two rows
    a, b = make(shape[0], width), make(shape[1], width, seed=1)
    matrix = score_matrix(a, b, score)
    assert matrix.shape == shape
    rows, columns = np.divmod(np.arange(matrix.size), max(1, shape[1]))
    np.testing.assert_allclose(matrix.ravel(), score_pairs(a[rows], b[columns], score), rtol=1e-5, atol=1e-6)


@every
def test_arrays_are_no_embeddings(score: str) -> None:
    for compare in (score_pairs, score_matrix):
        for sides in ((make(2), make(2).mean), (make(2).mean, make(2))):
            with pytest.raises(IncompatibleError, match=r"expected Embeddings, such as .* Got ndarray instead"):
                compare(*sides, score)  # type: ignore[arg-type]


@every
@pytest.mark.parametrize("key", list(META))
def test_what_must_agree(score: str, key: str) -> None:
    a, b = make(2), replace(make(2), meta={**META, key: "other"})
    if key in SCORES[score].keys:  # noqa: SIM118  (a field, not a dict's)
        for compare in (score_pairs, score_matrix):
            with pytest.raises(IncompatibleError, match=key):
                compare(a, b, score)
    else:
        assert score == "cosine"
        assert key.startswith("head")
        assert score_pairs(a, b, score).shape == (2,)


def test_unknown_score_and_other_lengths() -> None:
    with pytest.raises(ValueError, match="score must be one of cosine, mls"):
        score_matrix(make(2), make(2), "euclid")
    with pytest.raises(ValueError, match="same length"):
        score_pairs(make(2), make(3))
