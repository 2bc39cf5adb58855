"""FNMR at FMR 1e-2 with a share of the pairs refused, against a plain count."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.evaluation.refusal import FMR, _figures, _mean


def counted(scores: np.ndarray, same: np.ndarray) -> float:
    """FNMR at the least threshold that lets no more than FMR of the impostors through."""
    impostor = np.sort(scores[~same])[::-1]
    allowed = int(FMR * len(impostor))
    return float(np.mean(scores[same] <= impostor[allowed]))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_against_a_plain_count(share: float) -> None:
    rng = np.random.default_rng(0)
    same, quality = rng.uniform(size=4000) < 0.5, rng.permutation(4000).astype(float)
    scores = (5.0 * same + rng.normal(size=4000) * (1 + (quality < 1000))).astype(np.float32)
    before, after, fixed = _figures(scores, same, quality, share)
    keep = quality >= np.sort(quality)[round(share * 4000)]
    assert before == pytest.approx(counted(scores, same))
    assert after == pytest.approx(counted(scores[keep], same[keep]), abs=2e-3)
    if share == 0.0:
        assert (after, fixed) == pytest.approx((before, before))
    else:
        assert after < before
        assert fixed < before


def test_a_quality_that_tells_nothing_gains_nothing() -> None:
    rng = np.random.default_rng(1)
    same = rng.uniform(size=40_000) < 0.5
    scores = (2.0 * same + rng.normal(size=40_000)).astype(np.float32)
    before, after, fixed = _figures(scores, same, rng.uniform(size=40_000), 0.1)
    assert after == pytest.approx(before, abs=0.02)
    assert fixed == pytest.approx(before, abs=0.02)


def test_mean_over_seeds() -> None:
    found = _mean([(0.2, 0.1, 0.1), (0.4, 0.3, 0.2)])
    assert found["fall"] == pytest.approx((0.5 + 0.25) / 2)
    assert found["fall, fixed"] == pytest.approx(0.5)
    assert found["FNMR after"] == pytest.approx(0.2)
    assert found["std fall"] == pytest.approx(np.std([0.5, 0.25], ddof=1))
