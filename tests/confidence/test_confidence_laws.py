"""What every kind of calibrator must fulfil, and that the kept arrays are what scikit-learn fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from comparisons_of_known_odds import KINDS, drawn
from scipy.special import logit

from faceunc.confidence import Calibrator, fit_calibrator, join_evidence, pair_evidence
from faceunc.embeddings import VARIANCE_KEYS, Embeddings
from faceunc.errors import IncompatibleError
from faceunc.metrics.calibration import expected_calibration_error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epistemic", [False, True])
def test_calibrated_on_other_comparisons(kind: str, epistemic: bool) -> None:
    fitted = fit_calibrator(*drawn(epistemic=epistemic), kind)
    evidence, same = drawn(seed=1, epistemic=epistemic)
    p = fitted.probability(evidence, prior=0.3)  # the share of genuine comparisons in the draw
    assert expected_calibration_error(p, same) < 0.02
    worse = fitted.probability(evidence, prior=0.9)
    assert expected_calibration_error(worse, same) > 0.04  # a wrong prior shows


@pytest.mark.parametrize("kind", KINDS)
def test_rises_in_similarity_and_likelihood(kind: str) -> None:
    fitted = fit_calibrator(*drawn(), kind)
    evidence = drawn(500, seed=2)[0]
    better = replace(evidence, similarity=evidence.similarity + 0.05, mls=evidence.mls + 5.0)
    assert (fitted.log_odds(better) >= fitted.log_odds(evidence)).all()
    assert (fitted.log_odds(better) > fitted.log_odds(evidence)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_no_more_certain_than_the_comparisons_allow(kind: str) -> None:
    evidence, same = drawn(400)
    fitted = fit_calibrator(evidence, same, kind)
    odds = fitted.log_odds(replace(evidence, mls=evidence.mls * 1e6, similarity=evidence.similarity * 1e3))
    assert odds.max() <= np.log((~same).sum() + 1)
    assert odds.min() >= -np.log(same.sum() + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_prior_shifts_the_log_odds(kind: str) -> None:
    fitted = fit_calibrator(*drawn(), kind)
    evidence = drawn(50, seed=3)[0]
    np.testing.assert_allclose(
        logit(fitted.probability(evidence, 0.01)), fitted.log_odds(evidence) + logit(0.01), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_class_balance_of_the_fit_does_not_matter(kind: str) -> None:
    evidence, same = drawn(20_000)
    few = np.flatnonzero(~same | (np.arange(len(same)) % 4 == 0))
    other = drawn(2000, seed=4)[0]
    full, thinned = (
        fit_calibrator(e, s, kind).probability(other) for e, s in ((evidence, same), (evidence[few], same[few]))
    )
    assert np.abs(full - thinned).mean() < 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_one_and_many_agree_and_none_is_no_error(kind: str) -> None:
    fitted = fit_calibrator(*drawn(), kind)
    evidence = drawn(20, seed=5)[0]
    single = [fitted.log_odds(evidence[slice(i, i + 1)])[0] for i in range(20)]
    np.testing.assert_allclose(single, fitted.log_odds(evidence), rtol=1e-12)
    assert fitted.log_odds(evidence[slice(0, 0)]).shape == (0,)


def test_monotone_uses_sigma_where_the_sigmoid_cannot() -> None:
    """With the similarity alone as score, only the model that reads sigma stays calibrated among poor photographs."""
    evidence, same = drawn(20_000)
    blind = replace(evidence, mls=evidence.similarity)
    other, truth = drawn(20_000, seed=6)
    seen = replace(other, mls=other.similarity)
    poor = other.poorer > np.quantile(other.poorer, 0.8)
    eces = {
        kind: expected_calibration_error(fit_calibrator(blind, same, kind).probability(seen, 0.3)[poor], truth[poor])
        for kind in ("sigmoid", "monotone")
    }
    assert eces["monotone"] < 0.75 * eces["sigmoid"]


def test_confidence_is_that_of_what_the_similarity_says() -> None:
    fitted = fit_calibrator(*drawn())
    evidence = drawn(300, seed=7)[0]
    p, confidence = fitted.probability(evidence), fitted.confidence(evidence, threshold=0.55)
    says_same = evidence.similarity >= 0.55
    np.testing.assert_allclose(confidence[says_same], p[says_same])
    np.testing.assert_allclose(confidence[~says_same], 1 - p[~says_same])
    assert says_same.any()
    assert not says_same.all()


def test_sigmoid_is_the_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    evidence, same = drawn()
    weight = np.where(same, (~same).sum(), same.sum()).astype(float)
    oracle = LogisticRegression(C=1e8).fit(evidence.mls[:, None] / 100, same, weight / weight.mean())
    expected = oracle.predict_proba(evidence.mls[:, None] / 100)[:, 1]
    np.testing.assert_allclose(fit_calibrator(evidence, same, "sigmoid").probability(evidence), expected, atol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, s: (e, s[:-1], "monotone"), "same must be"),
        (lambda e, s: (e, np.ones_like(s), "monotone"), "both classes"),
        (lambda e, s: (e, s, "forest"), "kind must be one of"),
        (lambda e, s: (replace(e, mls=np.full(len(e), np.nan)), s, "sigmoid"), "finite"),
    ],
)
def test_bad_input(change, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        fit_calibrator(*change(*drawn(100)))


def test_epistemic_must_be_there_as_in_the_fit() -> None:
    fitted = fit_calibrator(*drawn(1000, epistemic=True))
    with pytest.raises(ValueError, match="without epistemic"):
        fitted.log_odds(drawn(10)[0])
    with pytest.raises(ValueError, match="all parts or in none"):
        join_evidence([drawn(10)[0], drawn(10, epistemic=True)[0]])


def embeddings(**meta: str) -> Embeddings:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(4, 8)).astype(np.float32)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return Embeddings(mean, rng.normal(size=(4, 8)).astype(np.float32) - 5, list("abcd"), meta=meta)


@pytest.mark.parametrize("key", VARIANCE_KEYS)
def test_a_foreign_embedding_is_refused(key: str) -> None:
    mine = dict.fromkeys(VARIANCE_KEYS, "x")
    fitted = Calibrator("sigmoid", {"slope": np.array(1.0), "offset": np.array(0.0)}, (-5, 5), mine)
    fitted.check(embeddings(**mine))
    with pytest.raises(IncompatibleError, match=key):
        fitted.check(embeddings(**{**mine, key: "y"}))


def test_evidence_does_not_know_first_from_second() -> None:
    faces = embeddings()
    a, b = pair_evidence(faces[:2], faces[2:], 1, [2, 3]), pair_evidence(faces[2:], faces[:2], [2, 3], 1)
    np.testing.assert_allclose(a.columns(), b.columns(), rtol=1e-6)
    assert (a.sigma[:, 0] >= a.sigma[:, 1]).all()
    assert (a.images[:, 0] <= a.images[:, 1]).all()
    with pytest.raises(ValueError, match="at least 1"):
        pair_evidence(faces[:2], faces[2:], 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_is_no_evidence(kind: str) -> None:
    fitted = fit_calibrator(*drawn(1000), kind)
    evidence = drawn(5)[0]
    with pytest.raises(ValueError, match="finite"):
        fitted.log_odds(replace(evidence, mls=np.array([1.0, np.nan, 2.0, 3.0, 4.0])))


def test_monotone_goes_on_rising_where_no_comparison_was() -> None:
    fitted = fit_calibrator(*drawn(), "monotone")
    evidence = drawn(1)[0]
    odds = [float(fitted.log_odds(replace(evidence, mls=np.array([mls])))[0]) for mls in (60.0, 80.0, 100.0)]
    assert odds[0] < odds[1] < odds[2] or odds[2] == pytest.approx(fitted.limits[1])
