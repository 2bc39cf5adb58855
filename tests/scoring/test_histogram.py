"""Counted scores against numpy's histogram and the exact ROC."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_embeddings import by_kernels, crowd, made

from faceunc.metrics.verification import tar_at_far
from faceunc.scoring.embedded import score_histogram
from faceunc.scoring.histogram import mls_histogram


@pytest.mark.parametrize("width", [1, 16])
@pytest.mark.parametrize("same_set", [True, False])
def test_counts_are_numpys(width: int, same_set: bool) -> None:
    first = crowd(500, 16, width, 1)
    second = first if same_set else crowd(1300, 16, width, 2)
    person1, person2 = np.arange(len(first)) % 7, np.arange(len(second)) % 7
    matrix = by_kernels(first, second)
    wanted = np.triu(np.ones_like(matrix, bool), 1) if same_set else np.ones_like(matrix, bool)
    low, high = np.percentile(matrix, [20, 80])  # so that much lies outside
    edges = np.linspace(low, high, 300).astype(np.float32)
    if same_set:
        found = mls_histogram(first, None, person1, edges=edges)
    else:
        found = mls_histogram(first, second, person1, person2, edges)
    same = person1[:, None] == person2[None]
    full = np.concatenate([[-np.inf], edges, [np.inf]])
    for counts, kind in ((found.impostor, ~same), (found.genuine, same)):
        places = np.searchsorted(edges, matrix[kind & wanted], "right")
        np.testing.assert_array_equal(counts, np.bincount(places, minlength=len(full) - 1))


def test_roc_is_that_of_the_stored_scores() -> None:
    both = crowd(600, 16, 16, 3)
    person = np.random.default_rng(4).integers(0, 60, 600)
    matrix = by_kernels(both, both)
    upper = np.triu_indices(600, 1)
    scores, same = matrix[upper], (person[:, None] == person[None])[upper]
    found = score_histogram(both, None, person)
    tar, far, threshold = found.tar_at_far(0.01)
    exact = tar_at_far(scores, same, 0.01)
    assert abs(tar - exact.tar) < 2e-3
    assert tar == np.mean(scores[same] >= np.float32(threshold))
    assert far == np.mean(scores[~same] >= np.float32(threshold))
    assert far <= 0.01


def test_no_rows() -> None:
    found = mls_histogram(crowd(0, 8, 8, 1), crowd(5, 8, 8, 1), np.arange(0), np.arange(5))
    assert found.impostor.sum() == found.genuine.sum() == 0


def test_own_edges_serve_a_second_set() -> None:
    """Also where the scores lie so close together that neighbouring edges are few units of float32 apart."""
    twins = made(30, 8, 8, 1e-3, 1e-3, 2)
    for side in (made(40, 512, 1, 1e-2, 1.1e-2, 1), replace(twins, mean=np.repeat(twins.mean[:1], 30, axis=0))):
        who = np.arange(len(side)) % 3
        found = mls_histogram(side, None, who)
        assert (np.diff(found.edges) > 0).all()
        again = mls_histogram(side, None, who, edges=found.edges)
        np.testing.assert_array_equal(again.genuine, found.genuine)


def test_scores_that_are_not_numbers_are_refused() -> None:
    both = made(300, 8, 8, 1e-3, 1e-2, 3)
    both.log_var[7] = np.nan
    with pytest.raises(ValueError, match="scores must be finite"):
        mls_histogram(both, both, np.arange(300), np.arange(300))


def test_bad_arguments() -> None:
    both = made(4, 3, 3, 1, 2, 0)
    who = np.arange(4)
    for arguments, text in (
        ((both, both, np.arange(3), who), "person1 must be"),
        ((both, both, who, who.astype(float)), "person2 must be .* whole numbers"),
        ((both, both, who, who, np.array([0, 1, 5], np.float32)), "equally far apart"),
        ((both, both, who, who, np.array([0], np.float32)), "equally far apart"),
        ((both, None, who, who), "together, or neither"),
        ((both, both, who), "together, or neither"),
    ):
        with pytest.raises(ValueError, match=text):
            mls_histogram(*arguments)
    for target in (-0.1, 2.0, float("nan")):
        with pytest.raises(ValueError, match=r"target must be a rate in \[0, 1\]"):
            mls_histogram(both, both, who, who).tar_at_far(target)
    with pytest.raises(ValueError, match="highest edge is 1"):
        mls_histogram(both, both, who, who, np.array([-1e9, -1e8], np.float32)).tar_at_far(0.5)
    with pytest.raises(ValueError, match="both genuine and impostor"):
        mls_histogram(both, None, who).tar_at_far(0.5)
