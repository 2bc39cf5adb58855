"""The rejection evaluation on a few people: rows, areas against the metric itself, picture."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.evaluation import rejection
from faceunc.evaluation.rejection import Case, _areas, _curves
from faceunc.metrics.rejection import edc_area, edc_fixed
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.pairs import PairProtocol


def pairs_and_case(seed: int = 0) -> tuple[PairProtocol, Case]:
    """Scores whose noise the quality "true" knows, and "nothing" does not."""
    rng = np.random.default_rng(seed)
    same = np.repeat([True, False], 200)
    noise = rng.uniform(0.1, 2.0, 400)
    scores = (4.0 * same + noise * rng.normal(size=400)).astype(np.float32)
    names = tuple(f"p{i}" for i in rng.integers(0, 40, 400))
    others = tuple(name if s else f"{name}x" for name, s in zip(names, same, strict=True))
    pairs = PairProtocol(names, others, same, np.zeros(400, np.int64), names, others)
    return pairs, Case(scores, {"sigma (true)": -noise, "nothing": rng.normal(size=400), "random": np.zeros(400)})


def test_areas_are_the_metric_of_every_measure() -> None:
    pairs, case = pairs_and_case()
    found = list(_areas(case, pairs, 0.02, np.arange(400)))
    threshold = sort_scores(case.scores, pairs.same).tar_at_far(0.02).threshold
    genuine = pairs.same
    for value, quality in zip(found, case.qualities.values(), strict=False):
        curve = edc_fixed(case.scores[genuine], quality[genuine], threshold)
        assert value == pytest.approx([edc_area(curve, limit) for limit in rejection.LIMITS])
    for true, nothing, random, oracle in zip(*found, strict=True):
        assert oracle < true < nothing
        assert random == pytest.approx(1.0)


def test_curves_begin_at_the_same_error() -> None:
    pairs, case = pairs_and_case()
    curves = _curves([case, pairs_and_case(1)[1]], pairs, 0.02)
    assert list(curves) == ["sigma (true)", "nothing", "random", "oracle"]
    starts = {round(float(curve[0]), 9) for both in curves.values() for curve in both if curve is not None}
    assert len(starts) == 1
    assert curves["oracle"][1] is None
    assert curves["sigma (true)"][0][20] < curves["random"][0][20]
