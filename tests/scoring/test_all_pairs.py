"""Fused kernels against the formula in float64: odd shapes, extreme variances, and the same numbers every time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_embeddings import by_kernels, made, oracle

from faceunc.embeddings import Embeddings
from faceunc.scoring.all_pairs import mls_blocks, mls_matrix
from faceunc.scoring.embedded import score_blocks, score_matrix, score_pairs
from faceunc.scoring.packed import find_scaling


def check(first: Embeddings, second: Embeddings, limit: float = 2e-6) -> None:
    expected, terms = oracle(first, second)
    found = by_kernels(first, second)
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    assert not found.size or (np.abs(found - expected) / terms).max() < limit


SIZES = [(0, 5), (5, 0), (0, 0), (1, 1), (1, 130), (129, 1), (127, 128), (257, 300)]


@pytest.mark.parametrize("width", ["scalar", "per-dimension"])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5, 17, 127, 128])
def test_odd_shapes(dim: int, sizes: tuple[int, int], width: str) -> None:
    columns = 1 if width == "scalar" else dim
    check(made(sizes[0], dim, columns, 1e-4, 1e-1, 1), made(sizes[1], dim, columns, 1e-4, 1e-1, 2))


RANGES = [(1e-8, 1e2), (1e-8, 1.1e-8), (1e2, 1.1e2), (1e-3, 1e-3), (1e-12, 1e-6), (1e-3, 1e6), (1e-30, 1e-28)]


@pytest.mark.parametrize("width", ["scalar", "per-dimension"])
@pytest.mark.parametrize("span", RANGES)
@pytest.mark.parametrize("dim", [3, 128, 512])
def test_extreme_variances(dim: int, span: tuple[float, float], width: str) -> None:
    columns = 1 if width == "scalar" else dim
    check(made(40, dim, columns, *span, 3), made(150, dim, columns, *span, 4))


def test_one_side_tiny_and_one_huge() -> None:
    check(made(30, 128, 128, 1e-8, 1e-7, 5), made(40, 128, 128, 1e1, 1e2, 6))


def test_products_that_would_be_subnormal() -> None:
    """Four variances of 1e-9 multiply to 1e-36, and with squared differences of 1e-10 to less than float32 can hold."""
    first = made(20, 128, 128, 1e-9, 2e-9, 7)
    second = replace(first, mean=first.mean + np.float32(1e-5))
    check(first, second)
    check(first, first)


def test_variances_too_far_apart_take_the_plain_formula() -> None:
    first, second = made(30, 16, 16, 1e-20, 1e20, 8), made(50, 16, 16, 1e-20, 1e20, 9)
    assert find_scaling(first, second) is None
    check(first, second)


@pytest.mark.parametrize("width", [1, 8])
def test_what_is_not_a_number_stays_visible_and_alone(width: int) -> None:
    first, second = made(3, 8, width, 1e-3, 1e-2, 10), made(200, 8, width, 1e-3, 1e-2, 11)
    whole = by_kernels(first, second)
    second.log_var[5], second.mean[9] = np.nan, np.nan
    broken = by_kernels(first, second)
    assert np.isnan(broken[:, [5, 9]]).all()
    rest = np.delete(np.arange(200), [5, 9])
    np.testing.assert_array_max_ulp(broken[:, rest], whole[:, rest], maxulp=1)


@pytest.mark.parametrize("width", [1, 8])
def test_infinite_log_variances(width: int) -> None:
    """A variance of 0 on one side, and of infinity: what the formula gives in float64."""
    first, second = made(30, 8, width, 1e-3, 1e-2, 12), made(40, 8, width, 1e-3, 1e-2, 13)
    second.log_var[:20] = -np.inf
    check(first, second)
    second.log_var[:20] = np.inf
    assert (by_kernels(first, second)[:, :20] == np.finfo(np.float32).min).all()


@pytest.mark.parametrize("width", [1, 64])
def test_other_rows_do_not_move_a_score(width: int) -> None:
    """Whatever scaling the set needs: to one unit in the last place."""
    both = made(200, 64, width, 1e-4, 1e-3, 14)
    before = by_kernels(both, both)
    both.log_var[-1] += 9.0
    np.testing.assert_array_max_ulp(before[:-1, :-1], by_kernels(both, both)[:-1, :-1], maxulp=1)


def test_stopping_early() -> None:
    blocks = mls_blocks(made(3000, 16, 16, 1e-3, 1e-2, 15), made(9000, 16, 16, 1e-3, 1e-2, 16))
    rows, columns, scores = next(blocks)
    assert (rows, columns, scores.shape) == (slice(0, 256), slice(0, 8192), (256, 8192))
    blocks.close()


def test_scalar_against_per_dimension() -> None:
    check(made(30, 20, 1, 1e-3, 1e-1, 11), made(140, 20, 20, 1e-3, 1e-1, 12))


def test_close_pairs_keep_their_digits() -> None:
    """|a|^2 + |b|^2 - 2 ab would lose them: distances of 1e-4 under variances of 1e-8."""
    first = made(50, 128, 1, 1e-8, 1e-7, 13)
    noise = np.random.default_rng(14).normal(0, 1e-5, first.mean.shape).astype(np.float32)
    check(first, replace(first, mean=first.mean + noise))


@pytest.mark.parametrize("width", [1, 64])
def test_a_pair_has_one_score_wherever_it_stands(width: int) -> None:
    both = made(700, 64, width, 1e-4, 1e-1, 15)
    whole = mls_matrix(both, both)
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_array_equal(whole, by_kernels(both, both))
    shifted = mls_matrix(both[3:], both[5:])
    np.testing.assert_array_equal(whole[3:, 5:], shifted)


def test_the_same_for_any_number_of_threads() -> None:
    first, second = made(300, 33, 33, 1e-4, 1e-1, 16), made(500, 33, 33, 1e-4, 1e-1, 17)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append(mls_matrix(first, second))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@pytest.mark.parametrize("compare", [mls_matrix, by_kernels])
def test_dimensions_must_agree(compare: Callable[[Embeddings, Embeddings], object]) -> None:
    with pytest.raises(ValueError, match="same dimension"):
        compare(made(2, 4, 4, 1, 2, 0), made(200, 5, 5, 1, 2, 0))


def test_public_functions_agree_with_each_other() -> None:
    first, second = made(60, 16, 16, 1e-3, 1e-1, 18), made(400, 16, 16, 1e-3, 1e-1, 19)
    matrix = score_matrix(first, second)
    for rows, columns, scores in score_blocks(first, second):
        np.testing.assert_array_equal(matrix[rows, columns], scores)
    np.testing.assert_allclose(np.diag(matrix), score_pairs(first, second[:60]), rtol=1e-5, atol=1e-4)
