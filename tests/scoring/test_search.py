"""Top-k search: exactly what sorting the whole matrix gives, with bounds and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from made_embeddings import by_kernels, crowd, made, oracle

from faceunc.scoring import search
from faceunc.scoring.bounds import bound_columns, bound_rows
from faceunc.scoring.embedded import top_k
from faceunc.scoring.packed import find_scaling, pack_rows
from faceunc.scoring.search import cosine_top_k, mls_top_k


@pytest.mark.parametrize("width", [1, 24])
@pytest.mark.parametrize("k", [1, 7, 60])
@pytest.mark.parametrize("bounds", [True, False])
def test_is_the_sorted_matrix(monkeypatch: pytest.MonkeyPatch, width: int, k: int, bounds: bool) -> None:
    monkeypatch.setattr(search, "_COLUMNS", 256)  # many pieces, so that bounds have something to rule out
    probes, gallery = crowd(70, 24, width, 1), crowd(3000, 24, width, 2)
    matrix = by_kernels(probes, gallery)
    found = mls_top_k(probes, gallery, k, bounds)
    order = np.argsort(-matrix, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(found.index, order)
    np.testing.assert_array_equal(found.score, np.take_along_axis(matrix, order, 1))
    assert found.scored == 1.0 if not bounds else found.scored < 1.0 or k == 60


def test_bounds_rule_most_pairs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_COLUMNS", 256)
    assert mls_top_k(crowd(50, 24, 24, 3, 0.1), crowd(5000, 24, 24, 4, 0.1), 1).scored < 0.2


@pytest.mark.parametrize("width", [1, 30])
@pytest.mark.parametrize("span", [(1e-8, 1e2), (1e-4, 1e-3), (1e-8, 1e-7), (10.0, 100.0)])
def test_no_pair_is_lost_to_a_bound(span: tuple[float, float], width: int) -> None:
    """A pair at or above the threshold passes the bound, for thresholds at every one of its row's scores."""
    probes, gallery = made(20, 30, width, *span, 5), made(200, 30, width, *span, 6)
    scaling = find_scaling(probes, gallery)
    assert scaling is not None
    rows, columns = (pack_rows(side, slice(0, None), scaling) for side in (probes, gallery))
    bound = bound_columns(*columns, scaling.dim)
    scores = by_kernels(probes, gallery)
    for column in range(0, 200, 7):
        factors, least = bound_rows(*rows, scores[:, column], scaling, bound)
        passes = factors @ bound.factors.T >= least[:, None]
        assert passes[scores >= scores[:, [column]]].all()


def test_ties_go_to_the_lower_position() -> None:
    gallery = crowd(900, 12, 12, 7)
    doubled = gallery[np.tile(np.arange(300), 3)]
    found = mls_top_k(gallery[:5], doubled, 6)
    assert (found.index[:, :3] == found.index[:, :1] + np.array([0, 300, 600])).all()


def test_whole_gallery_sorted() -> None:
    probes, gallery = crowd(3, 10, 10, 8), crowd(40, 10, 10, 9)
    found = mls_top_k(probes, gallery, 40)
    assert (np.sort(found.index, axis=1) == np.arange(40)).all()
    assert (np.diff(found.score, axis=1) <= 0).all()


def test_variances_too_far_apart() -> None:
    probes, gallery = made(4, 8, 8, 1e-20, 1e20, 10), made(50, 8, 8, 1e-20, 1e20, 11)
    expected, _ = oracle(probes, gallery)
    np.testing.assert_array_equal(mls_top_k(probes, gallery, 3).index, np.argsort(-expected, axis=1)[:, :3])


def test_cosine() -> None:
    probes, gallery = crowd(20, 16, 1, 12), crowd(9000, 16, 1, 13)
    cosine = probes.mean.astype(np.float64) @ gallery.mean.T.astype(np.float64)
    found = cosine_top_k(probes, gallery, 5)
    np.testing.assert_allclose(found.score, -np.sort(-cosine, axis=1)[:, :5], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(cosine, found.index, 1), found.score, atol=1e-6)


def test_no_probes() -> None:
    found = mls_top_k(crowd(0, 8, 8, 1), crowd(10, 8, 8, 2), 3)
    assert found.index.shape == found.score.shape == (0, 3)


@pytest.mark.parametrize(
    ("k", "score", "text"),
    [
        (0, "mls", "k must be from 1"),
        (11, "cosine", "the gallery, 10. Got 11"),
        (1, "vmf", "must be"),
        (1, "x", "must be"),
    ],
)
def test_bad_arguments(k: int, score: str, text: str) -> None:
    both = crowd(10, 8, 1, 2)
    with pytest.raises(ValueError, match=text):
        top_k(both, replace(both), k, score)


def test_cosine_is_reached_by_name() -> None:
    both = crowd(30, 8, 8, 3)
    np.testing.assert_array_equal(top_k(both, both, 1, "cosine").index[:, 0], np.arange(30))
    np.testing.assert_array_equal(top_k(both, both, 2).index, mls_top_k(both, both, 2).index)


def test_cosine_does_not_need_unit_means() -> None:
    probes, gallery = crowd(20, 16, 1, 14), crowd(300, 16, 1, 15)
    lengths = np.random.default_rng(1).uniform(0.2, 3.0, (300, 1)).astype(np.float32)
    longer = replace(gallery, mean=gallery.mean * lengths)
    np.testing.assert_array_equal(cosine_top_k(probes, longer, 4).index, cosine_top_k(probes, gallery, 4).index)


@pytest.mark.parametrize("find", [mls_top_k, cosine_top_k])
@pytest.mark.parametrize("side", ["probes", "gallery"])
def test_rows_that_are_not_numbers_are_named(find: Callable[..., object], side: str) -> None:
    sides = {"probes": crowd(20, 8, 8, 16), "gallery": crowd(9000, 8, 8, 17)}
    sides[side].mean[17, 3] = np.nan
    with pytest.raises(ValueError, match=f"{side} must be finite. Got NaN or infinity in row 17"):
        find(sides["probes"], sides["gallery"], 2)


def test_scores_below_what_float32_holds_are_still_positions() -> None:
    both = crowd(6, 8, 8, 18)
    tiny = replace(both, log_var=np.full_like(both.log_var, -95.0))
    assert set(mls_top_k(tiny, tiny, 6).index[0]) == set(range(6))
