"""Calibrators on disk, and decisions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from comparisons_of_known_odds import KINDS, drawn
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from faceunc.confidence import (
    Evidence,
    Reference,
    exchangeability_warnings,
    fit_calibrator,
    load_calibrator,
    make_policy,
    save_calibrator,
)
from faceunc.errors import InputError


def reference(count: int = 8000, seed: int = 0) -> Reference:
    rng = np.random.default_rng(seed)
    same = rng.uniform(size=count) < 0.25
    first = np.arange(count, dtype=np.int32)
    return Reference(
        log_odds=(np.where(same, 4, -4) + 2 * rng.normal(size=count)).astype(np.float32),
        similarity=(np.where(same, 0.8, 0.3) + 0.1 * rng.normal(size=count)).astype(np.float32),
        poorer=rng.uniform(0.02, 0.1, count).astype(np.float32),
        same=same,
        clean=rng.uniform(size=count) < 0.5,
        first_subject=first,
        second_subject=np.where(same, first, first + count).astype(np.int32),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str, tmp_path: Path) -> None:
    calibrator = fit_calibrator(*drawn(1000), kind, meta={"backbone": "dlib"}, card={"seed": 1})
    save_calibrator(tmp_path / "c.safetensors", calibrator, reference(100))
    found = load_calibrator(tmp_path / "c.safetensors")
    evidence = drawn(50, seed=1)[0]
    np.testing.assert_array_equal(found.calibrator.log_odds(evidence), calibrator.log_odds(evidence))
    assert found.calibrator.meta == {"backbone": "dlib"}
    assert found.calibrator.card["seed"] == 1
    np.testing.assert_array_equal(found.reference.same, reference(100).same)


Arrays = dict[str, np.ndarray]
DAMAGE: dict[str, Callable[[Arrays, dict[str, str]], object]] = {
    "loop": lambda a, m: a["model/left"].fill(0),
    "column": lambda a, m: a["model/feature"].fill(99),
    "length": lambda a, m: a.update({"reference/same": a["reference/same"][:-1]}),
    "missing": lambda a, m: a.pop("model/roots"),
    "places that are no whole numbers": lambda a, m: a.update({"model/left": a["model/left"].astype(np.float32)}),
    "numbers for flags": lambda a, m: a.update({"reference/same": a["reference/same"].astype(np.int32)}),
    "whole log-odds": lambda a, m: a.update({"reference/log_odds": a["reference/log_odds"].astype(np.int32)}),
    "no reference": lambda a, m: a.update({k: v[:0] for k, v in a.items() if k.startswith("reference")}),
    "limits": lambda a, m: m.update(limits="[3, -3]"),
    "limits that are no numbers": lambda a, m: m.update(limits="[NaN, NaN]"),
    "card": lambda a, m: m.update(card="[]"),
    "posterior": lambda a, m: m.update(card='{"posterior": "none"}'),
    "deep": lambda a, m: m.update(meta="[" * 100_000 + "]" * 100_000),
    "kind": lambda a, m: m.update(kind="forest"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_calibrator(path, fit_calibrator(*drawn(1000)), reference(100))
    arrays = {key: value.copy() for key, value in load_file(path).items()}
    with safe_open(path, "np") as file:
        metadata = dict(file.metadata())
    DAMAGE[name](arrays, metadata)
    save_file(arrays, path, metadata)
    with pytest.raises(InputError, match=r"c\.safetensors: damaged or foreign calibrator"):
        load_calibrator(path)


def test_numbers_that_numpy_does_not_know_are_refused(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch

    path = tmp_path / "c.safetensors"
    save_calibrator(path, fit_calibrator(*drawn(1000)), reference(100))
    with safe_open(path, "np") as file:
        metadata = dict(file.metadata())
    save_torch({k: v.to(torch.bfloat16) if "poorer" in k else v for k, v in load_torch(path).items()}, path, metadata)
    with pytest.raises(InputError, match="damaged or foreign calibrator"):
        load_calibrator(path)


def test_policy_keeps_both_promises_on_new_comparisons() -> None:
    policy = make_policy(reference(), fmr=0.01, fnmr=0.05, refuse_share=0.1)
    other = reference(40_000, seed=1)
    kept = other.poorer <= policy.refuse_sigma
    assert np.mean(~kept) == pytest.approx(0.1, abs=0.01)
    impostor, genuine = other.log_odds[kept & ~other.same], other.log_odds[kept & other.same]
    assert (impostor >= policy.fmr.threshold).mean() <= 0.01
    assert (genuine < policy.reject_below).mean() <= 0.05
    plain = other.similarity[other.clean & ~other.same]
    assert (plain >= policy.similarity_threshold).mean() <= 0.01


def test_decisions_follow_the_thresholds() -> None:
    calibrator = fit_calibrator(*drawn(3000))
    policy = make_policy(reference(), fmr=0.01, fnmr=0.01)
    evidence = drawn(500, seed=2)[0]
    found = np.array(policy.decide(calibrator, evidence))
    odds = calibrator.log_odds(evidence)
    poor = evidence.poorer > policy.refuse_sigma
    assert (found[poor] == "refuse").all()
    assert ((found == "accept") == (~poor & (odds >= policy.fmr.threshold))).all()
    assert ((found == "reject") == (~poor & (odds < policy.reject_below))).all()
    assert {"accept", "reject", "refuse"} == set(found)


def test_an_impossible_promise_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot promise an FMR of 1e-06"):
        make_policy(reference(), fmr=1e-6)


def test_other_photographs_are_noticed() -> None:
    known = reference()
    sigma = np.random.default_rng(1).uniform(0.02, 0.1, (300, 1)).repeat(2, axis=1)
    like = Evidence(np.zeros(300), np.zeros(300), sigma, np.ones((300, 2)))
    assert exchangeability_warnings(known, like) == []
    poorer = Evidence(like.similarity, like.mls, like.sigma * 2, like.images)
    notes = " ".join(exchangeability_warnings(known, poorer))
    assert "poorer than all" in notes
    assert "Kolmogorov-Smirnov" in notes


def test_a_reason_speaks_of_the_promise_that_was_made() -> None:
    calibrator = fit_calibrator(*drawn(3000))
    evidence = drawn(500, seed=2)[0]
    for fnmr in (None, 0.05):
        policy = make_policy(reference(), fmr=0.01, fnmr=fnmr)
        odds = calibrator.log_odds(evidence)
        decisions = policy.decide(calibrator, evidence)
        row = next(i for i, word in enumerate(decisions) if word == "reject")
        reason = policy.reason("reject", float(odds[row]), float(evidence.poorer[row]))
        assert ("no promise" in reason) == (fnmr is None)
        assert (f"{policy.fmr.comparisons} comparisons" in reason) is False
        if policy.fnmr is not None:
            assert f"{policy.fnmr.comparisons} comparisons of {policy.fnmr.people} people" in reason


def test_a_useless_promise_says_so() -> None:
    policy = make_policy(reference(40_000), fmr=2e-4)
    known = reference(40_000)
    kept = known.same & (known.poorer <= policy.refuse_sigma)
    assert policy.missed == pytest.approx((known.log_odds[kept] < policy.fmr.threshold).mean())
    assert (policy.missed > 0.5) == any("are not accepted" in note for note in policy.warnings)


def test_a_promise_for_what_comes_next_is_stricter() -> None:
    assert make_policy(reference(), 0.02, future=500).fmr.threshold > make_policy(reference(), 0.02).fmr.threshold
