"""1:N search against plain loops, with ties, several entries of one subject, and blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceunc.metrics.identification import SearchResult, cmc, dir_at_far, join, search_block, tpir_at_fpir

Search = tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


@st.composite
def searches(draw: st.DrawFn) -> Search:
    """Scores with many ties, in float32 of MLS's magnitude; a mated and a non-mated probe at least."""
    gallery = np.array(draw(st.lists(st.integers(0, 4), min_size=1, max_size=6)))
    probes = np.array([gallery[0], 9, *draw(st.lists(st.integers(0, 6), max_size=8))])
    seed = draw(st.integers(0, 2**20))
    steps = np.random.default_rng(seed).integers(0, draw(st.integers(1, 8)), (len(probes), len(gallery)))
    return (1500 + steps * np.spacing(np.float32(1500))).astype(np.float32), probes, gallery


def brute_search(search: Search) -> list[tuple[bool, float, int, float]]:
    """(mated, mated_score, rank, top_other) per probe; the entries of others are walked one by one."""
    scores, probes, gallery = search
    rows = []
    for i, probe in enumerate(probes):
        own = [float(s) for s, g in zip(scores[i], gallery, strict=True) if g == probe]
        others = [float(s) for s, g in zip(scores[i], gallery, strict=True) if g != probe]
        rank = 1 + sum(s >= max(own) for s in others) if own else 0
        rows.append((bool(own), max(own, default=np.nan), rank, max(others, default=-np.inf)))
    return rows


@given(searches())
@settings(max_examples=80)
def test_search_against_plain_loops(search: Search) -> None:
    found, expected = search_block(*search), brute_search(search)
    assert found.mated.tolist() == [r[0] for r in expected]
    np.testing.assert_array_equal(found.mated_score, [r[1] for r in expected])
    assert found.rank.tolist() == [r[2] for r in expected]
    assert found.top_other.tolist() == [r[3] for r in expected]


@given(searches(), st.integers(1, 3))
@settings(max_examples=60)
def test_figures_against_plain_loops(search: Search, rank: int) -> None:
    result, rows = search_block(*search), brute_search(search)
    mates, strangers = [r for r in rows if r[0]], [r for r in rows if not r[0]]
    assert cmc(result, (1, 2, 5)) == pytest.approx({k: sum(r[2] <= k for r in mates) / len(mates) for k in (1, 2, 5)})
    thresholds = [r[1] for r in mates] + [r[3] for r in strangers] + [np.inf]
    for target in (0.0, 0.1, 1 / 3, 0.5, 1.0):
        found, best = tpir_at_fpir(result, target, rank), 0.0
        for t in thresholds:
            if sum(r[3] >= t for r in strangers) <= target * len(strangers) * (1 + 1e-12):
                best = max(best, sum(r[2] <= rank and r[1] >= t for r in mates) / len(mates))
        assert found.tpir == pytest.approx(best)
        assert found.fpir <= target * (1 + 1e-12)
        assert found.false_positives == sum(r[3] >= found.threshold for r in strangers)
        assert (found.mated, found.non_mated) == (len(mates), len(strangers))
        assert found.threshold in thresholds
    assert dir_at_far(result, 0.3) == tpir_at_fpir(result, 0.3, rank=1)


@given(searches(), st.integers(0, 99))
@settings(max_examples=60)
def test_neither_order_nor_blocks_nor_names_nor_type_matter(search: Search, seed: int) -> None:
    scores, probes, gallery = search
    rng = np.random.default_rng(seed)
    q, g = rng.permutation(len(probes)), rng.permutation(len(gallery))
    whole = search_block(scores, probes, gallery)
    parts = join([search_block(scores[[i]], probes[[i]], gallery) for i in range(len(probes))])
    shuffled = search_block(scores[np.ix_(q, g)], probes[q], gallery[g])
    double = search_block(scores.astype(np.float64), probes.astype(str), gallery.astype(str))
    for name in ("mated", "mated_score", "rank", "top_other"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
        np.testing.assert_array_equal(getattr(whole, name), getattr(double, name))
        np.testing.assert_array_equal(getattr(whole, name)[q], getattr(shuffled, name))
    for target in (0.0, 0.4):
        assert tpir_at_fpir(whole, target) == tpir_at_fpir(shuffled, target)
    assert cmc(whole) == cmc(shuffled)


def test_an_equal_score_of_another_subject_counts_against_us() -> None:
    result = search_block([[5, 5, 3], [1, 2, 2], [0, 4, 1]], [7, 8, 1], [7, 8, 8])
    assert result.rank.tolist() == [2, 1, 0]  # the second probe's other template is no other subject
    assert result.top_other.tolist() == [5, 1, 4]
    assert cmc(result, (1, 2)) == {1: 0.5, 2: 1.0}
    nothing = tpir_at_fpir(search_block([[5, 0], [5, 0]], [1, 9], [1, 2]), 0.0)
    assert (nothing.tpir, nothing.threshold, nothing.false_positives) == (0.0, np.inf, 0)


def test_a_gallery_of_the_probes_own_subject_only() -> None:
    result = search_block([[1, 2]], ["a"], ["a", "a"])
    assert (result.rank.tolist(), result.top_other.tolist(), result.mated_score.tolist()) == ([1], [-np.inf], [2])


def test_rounding_does_not_cost_a_false_positive() -> None:
    n = 101
    result = SearchResult(np.arange(n) == 100, np.full(n, 0.0), np.ones(n, np.int64), np.arange(n) * 1.0)
    found = tpir_at_fpir(result, 0.29)  # .29 * 100 is 28.999999999999996
    assert (found.false_positives, found.fpir, found.threshold) == (29, 0.29, 71)


def test_reliable_from_ten_probes_behind_the_target() -> None:
    n = 1001
    result = SearchResult(np.arange(n) < 1, np.full(n, 1.0), np.ones(n, np.int64), np.linspace(0, 1, n))
    assert tpir_at_fpir(result, 1e-2).reliable
    assert not tpir_at_fpir(result, 9e-3).reliable


@pytest.mark.parametrize(
    ("scores", "probes", "gallery", "message"),
    [
        ([[1, 2]], [1, 2], [1, 2], "must be"),
        ([1, 2], [1, 2], [1], "must be"),
        (np.zeros((0, 2)), [], [1, 2], "must be"),
        (np.zeros((2, 0)), [1, 2], [], "must be"),
        ([[1, np.nan]], [1], [1, 2], "finite"),
        ([[1, np.inf]], [1], [1, 2], "finite"),
        ([[1, 2]], ["1"], [1, 2], "one kind"),
    ],
)
def test_unusable_search(scores: object, probes: object, gallery: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_block(scores, probes, gallery)  # type: ignore[arg-type]


def test_unusable_results() -> None:
    mated, strange = search_block([[1, 2]], [1], [1, 2]), search_block([[1, 2]], [3], [1, 2])
    for one in (mated, strange):
        with pytest.raises(ValueError, match="mated and non-mated"):
            tpir_at_fpir(one, 0.1)
    with pytest.raises(ValueError, match="mated probes"):
        cmc(strange)
    with pytest.raises(ValueError, match="none"):
        join([])
    with pytest.raises(ValueError, match="must be"):
        SearchResult(mated.mated, mated.mated_score, mated.rank, np.zeros(2))
    both = join([mated, strange])
    for target in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="target"):
            tpir_at_fpir(both, target)
    with pytest.raises(ValueError, match="rank"):
        tpir_at_fpir(both, 0.1, 0)
    with pytest.raises(ValueError, match="rank"):
        cmc(both, (0,))
