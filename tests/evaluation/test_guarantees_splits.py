"""Promises on comparisons of a known law: broken no more often than was said, and set without the unseen half."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.confidence import Evidence, Guarantee
from faceunc.confidence.calibrator import Calibrator, fit_calibrator
from faceunc.evaluation import guarantees
from faceunc.evaluation.comparisons import CLEAN, Comparisons
from faceunc.evaluation.guarantees import SplitOptions, evaluate_guarantees

IMPOSTOR, GENUINE = 6000, 600
SCORES = ("similarity", "MLS", "log-odds")


def independent(seed: int = 0) -> Comparisons:
    """Comparisons with nobody in common; similarity and MLS are normal, and tell genuine from impostor."""
    rng = np.random.default_rng(seed)
    count = IMPOSTOR + GENUINE
    same = np.arange(count) >= IMPOSTOR
    first = np.arange(0, 2 * count, 2)
    similarity, mls = 0.1 * rng.normal(size=count) + 0.4 * same, 20 * rng.normal(size=count) + 60 * same
    evidence = Evidence(similarity, mls, np.full((count, 2), 0.05), np.ones((count, 2)))
    group = np.zeros(count, np.int64)
    return Comparisons(evidence, same, np.full(count, CLEAN), first, np.where(same, first, first + 1), group)


class Listener:
    """Whose comparisons a threshold or a calibrator rests on; fits sigmoids, which are quick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.thresholds: list[Guarantee] = []
        self.impostors: list[set[int]] = []
        self.fitted: list[set[float]] = []
        self._original = guarantees.fmr_threshold
        monkeypatch.setattr(guarantees, "fmr_threshold", self._threshold)
        monkeypatch.setattr(guarantees, "fit_calibrator", self._fit)

    def _threshold(self, scores: Any, first: Any, second: Any, *rest: Any) -> Guarantee:
        self.impostors.append(set(first.tolist()))  # who names a comparison: nobody is in two
        self.thresholds.append(self._original(scores, first, second, *rest))
        return self.thresholds[-1]

    def _fit(self, evidence: Evidence, same: NDArray[np.bool_], kind: str, weight: Any) -> Calibrator:
        assert kind == "monotone"
        self.fitted.append(set(evidence.mls.tolist()))
        return fit_calibrator(evidence, same, "sigmoid", weight)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    return Listener(monkeypatch)


def by_promise(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["score"], row["promise"]): row for row in rows}


def mean_rows(draws: int, options: SplitOptions) -> dict[tuple[str, str], dict[str, float]]:
    """(score, promise) -> figures, mean over the splits of several draws."""
    runs = [evaluate_guarantees(independent(seed), options, show=False) for seed in range(draws)]
    return {
        (rows[0]["score"], rows[0]["promise"]): {
            name: float(np.mean([row[name] for row in rows])) for name, value in rows[0].items() if name[0] in "eF"
        }
        for rows in zip(*runs, strict=True)
    }


@pytest.mark.usefixtures("listener")
def test_promises_of_independent_comparisons_are_kept() -> None:
    """ "next" fails in at most 5% of the splits; "population" more often, for the unseen half is noisy itself."""
    draws, splits = 10, 10
    rows = mean_rows(draws, SplitOptions(splits, (0.05,)))
    noise = 3 * np.sqrt(0.05 * 0.95 / (draws * splits))
    for score in SCORES:
        following, population = rows[score, "next"], rows[score, "population"]
        assert following["exceeded"] <= 0.05 + noise
        assert following["exceeded"] <= population["exceeded"] <= 0.4
        assert 0.02 < following["FMR, mean"] < population["FMR, mean"] < 0.05  # and no safer than need be
        assert following["FMR, mean"] < following["FMR, 95% quantile"]
        assert following["FNMR, mean"] > population["FNMR, mean"]
    assert rows["similarity", "population"]["exceeded"] > 0
    for score, share in (("similarity", 1 / 4), ("log-odds", 1 / 16)):  # both people in that half, or quarter
        assert rows[score, "next"]["effective comparisons"] == pytest.approx(share * IMPOSTOR, rel=0.03)


@pytest.mark.usefixtures("listener")
def test_little_confidence_promises_little() -> None:
    """The test above could fail: a promise with 50% confidence is broken in about half of the splits."""
    rows = mean_rows(4, SplitOptions(10, (0.05,), confidence=0.5))
    for score in SCORES:
        assert 0.25 < rows[score, "next"]["exceeded"] < 0.75


@pytest.mark.usefixtures("listener")
def test_rows() -> None:
    options = SplitOptions(2, (0.1, 0.05), confidence=0.9, seed=4)
    rows = evaluate_guarantees(independent(), options, show=False)
    keys = [(row["score"], row["FMR promised"], row["promise"]) for row in rows]
    assert keys == [(s, t, p) for s in SCORES for t in (0.1, 0.05) for p in ("population", "next")]
    for row in rows:
        assert (row["confidence"], row["splits"]) == (0.9, 2)
        assert all(0.0 <= row[name] <= 1.0 for name in ("exceeded", "FMR, mean", "FMR, 95% quantile", "FNMR, mean"))
        assert row["effective comparisons"] > 100
    assert rows == evaluate_guarantees(independent(), options, show=False)
    assert rows != evaluate_guarantees(independent(), replace(options, seed=5), show=False)


def test_thresholds_rest_on_the_known_half_alone(listener: Listener) -> None:
    """Whatever no threshold and no calibrator rests on is made as wrong as can be: all unseen rates are 1, nothing
    else changes."""
    drawn, options = independent(), SplitOptions(1, (0.05,))
    before = evaluate_guarantees(drawn, options, show=False)
    known = np.isin(drawn.first, list(set().union(*listener.impostors))) & ~drawn.same
    known |= np.isin(drawn.evidence.mls, list(set().union(*listener.fitted)))
    assert 0.2 < known[~drawn.same].mean() < 0.3
    wrong = np.where(known, 0.0, np.where(drawn.same, -1e3, 1e3))
    evidence = replace(drawn.evidence, similarity=drawn.evidence.similarity + wrong, mls=drawn.evidence.mls + wrong)
    thresholds = list(listener.thresholds)
    listener.thresholds.clear()
    after = evaluate_guarantees(replace(drawn, evidence=evidence), options, show=False)
    assert listener.thresholds == thresholds
    assert len(thresholds) == 2 * len(SCORES)
    for first, second in zip(before, after, strict=True):
        assert first["FMR, mean"] < 0.1
        assert (second["FMR, mean"], second["FNMR, mean"]) == (1.0, 1.0)


def test_a_calibrator_does_not_meet_whom_its_threshold_rests_on(listener: Listener) -> None:
    drawn = independent()
    evaluate_guarantees(drawn, SplitOptions(1, (0.05,)), show=False)
    fitted = np.isin(drawn.evidence.mls, list(listener.fitted[0]))
    thresholds = np.isin(drawn.first, list(listener.impostors[-1])) & ~drawn.same  # log-odds come last
    assert fitted.any()
    assert thresholds.any()
    assert not (fitted & thresholds).any()
    assert drawn.same[fitted].any()
