"""The figures of one condition, against plain loops; what is chosen is chosen on clean pairs of other people."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.metrics.verification import best_threshold, kfold_accuracy, tar_at_far
from faceunc.protocols.pairs import PairProtocol
from faceunc.sweep import degradation_figures
from faceunc.sweep.degradation_figures import (
    Seen,
    choose_operation,
    image_figures,
    score_figures,
    with_intervals,
)

FOLDS, EACH = 4, 120


@pytest.fixture(scope="module")
def pairs() -> PairProtocol:
    """Four folds of 60 genuine and 60 impostor pairs, each of people of its own."""
    rng = np.random.default_rng(0)
    fold = np.repeat(np.arange(FOLDS), EACH)
    same = np.tile(np.arange(EACH) < EACH // 2, FOLDS)
    one = [f"f{f}p{i}" for f, i in zip(fold, rng.integers(0, 30, len(fold)), strict=True)]
    two = [a if s else f"f{f}p{30 + i}" for a, s, f, i in zip(one, same, fold, rng.integers(0, 30, 480), strict=True)]
    names = tuple(f"{a}/{i}.jpg" for i, a in enumerate(one)), tuple(f"{b}/{i}x.jpg" for i, b in enumerate(two))
    return PairProtocol(*names, same, fold, tuple(one), tuple(two))


def seen(pairs: PairProtocol, seed: int, gap: float, sigma: float) -> Seen:
    """Sigma rises with how wrong a score is likely to be."""
    rng = np.random.default_rng(seed)
    poor = rng.uniform(0.2, 1.0, len(pairs)) * sigma
    scores = gap * pairs.same + poor * rng.normal(size=len(pairs))
    return Seen(scores.astype(np.float32), poor.astype(np.float32))


@pytest.fixture(scope="module")
def clean(pairs: PairProtocol) -> Seen:
    return seen(pairs, 1, 2.0, 1.0)


@pytest.fixture(scope="module")
def poor(pairs: PairProtocol) -> Seen:
    return seen(pairs, 2, 1.2, 1.6)


def test_chosen_on_other_folds(pairs: PairProtocol, clean: Seen) -> None:
    operation = choose_operation(clean, pairs)
    for fold in range(FOLDS):
        here, others = pairs.fold == fold, pairs.fold != fold
        scores, same = clean.scores[others], pairs.same[others]
        assert set(operation.best[here]) == {best_threshold(scores, same)}
        assert set(operation.at_fmr[here]) == {tar_at_far(scores, same, 0.01).threshold}
        (limit,) = set(operation.limit[here])
        assert (clean.sigma[others] > limit).mean() == pytest.approx(0.05, abs=1 / others.sum())


def test_what_is_chosen_for_a_fold_does_not_see_it(pairs: PairProtocol, clean: Seen) -> None:
    first = pairs.fold == 0
    changed = Seen(np.where(first, -clean.scores, clean.scores), np.where(first, 99, clean.sigma).astype(np.float32))
    before, after = choose_operation(clean, pairs), choose_operation(changed, pairs)
    for name in ("best", "at_fmr", "limit"):
        np.testing.assert_array_equal(getattr(before, name)[first], getattr(after, name)[first])
    assert (before.limit[~first] != after.limit[~first]).all()


def test_figures_are_those_of_a_plain_loop(pairs: PairProtocol, clean: Seen, poor: Seen) -> None:
    operation = choose_operation(clean, pairs)
    found = score_figures(poor, operation, pairs)
    counts = dict.fromkeys(("right", "false", "miss", "refused", "kept false", "kept impostor", "kept miss", "kept"), 0)
    for row, same in enumerate(pairs.same.tolist()):
        score, at = float(poor.scores[row]), operation.at_fmr[row]
        counts["right"] += (score >= operation.best[row]) == same
        false, miss = (not same and score >= at), (same and score < at)
        counts["false"], counts["miss"] = counts["false"] + false, counts["miss"] + miss
        if poor.sigma[row] > operation.limit[row]:
            counts["refused"] += 1
        elif same:
            counts["kept"], counts["kept miss"] = counts["kept"] + 1, counts["kept miss"] + miss
        else:
            counts["kept impostor"] += 1
            counts["kept false"] += false
    total, half = len(pairs), len(pairs) / 2
    assert found["accuracy"] == pytest.approx(counts["right"] / total)
    assert found["FMR"] == pytest.approx(counts["false"] / half)
    assert found["FNMR"] == pytest.approx(counts["miss"] / half)
    assert found["refused"] == pytest.approx(counts["refused"] / total)
    assert found["kept FMR"] == pytest.approx(counts["kept false"] / counts["kept impostor"])
    assert found["kept FNMR"] == pytest.approx(counts["kept miss"] / counts["kept"])
    assert found["guarded FMR"] == pytest.approx(counts["kept false"] / half)
    assert found["guarded FNMR"] == pytest.approx(1 - (counts["kept"] - counts["kept miss"]) / half)
    assert 0 < counts["refused"] < total
    assert found["re-fitted accuracy"] == kfold_accuracy(poor.scores, pairs.same, pairs.fold).mean
    assert found["TAR@FAR 0.01"] == tar_at_far(poor.scores, pairs.same, 0.01).tar
    genuine, impostor = (poor.scores[pairs.same == s].astype(float) for s in (True, False))
    spread = np.sqrt((genuine.var() + impostor.var()) / 2)
    assert found["d'"] == pytest.approx((genuine.mean() - impostor.mean()) / spread)
    assert found["AUC"] == pytest.approx((genuine[:, None] > impostor[None]).mean())


def test_clean_pairs_at_their_own_thresholds(pairs: PairProtocol, clean: Seen) -> None:
    """Nothing degraded: the clean threshold is the re-fitted one, and about 5% are refused."""
    found = score_figures(clean, choose_operation(clean, pairs), pairs)
    assert found["accuracy"] == pytest.approx(found["re-fitted accuracy"])
    assert found["refused"] == pytest.approx(0.05, abs=0.03)
    assert found["FMR"] < 0.05


def test_intervals_resample_people(pairs: PairProtocol, clean: Seen, poor: Seen) -> None:
    found = score_figures(poor, choose_operation(clean, pairs), pairs)

    def mean(rows: np.ndarray) -> float:
        return float(poor.scores[rows][pairs.same[rows]].astype(float).mean())

    oracle = subject_bootstrap(mean, pairs.first_subject, pairs.second_subject, degradation_figures.REPLICATES)
    assert (found["low genuine"], found["high genuine"]) == pytest.approx((oracle.low, oracle.high))
    for name in ("genuine", "impostor", "accuracy", "FMR", "FNMR", "EER", "refused", "kept FNMR"):
        assert found[f"low {name}"] <= found[name] <= found[f"high {name}"]


def test_all_refused_has_no_errors(pairs: PairProtocol, clean: Seen, poor: Seen) -> None:
    hopeless = Seen(poor.scores, np.full(len(pairs), 1e3, np.float32))
    found = score_figures(hopeless, choose_operation(clean, pairs), pairs)
    assert (found["refused"], found["guarded FMR"], found["guarded FNMR"]) == (1.0, 0.0, 1.0)
    assert {found[f"{end}kept {what}"] for end in ("", "low ", "high ") for what in ("FMR", "FNMR")} == {None}


def test_figures_without_intervals_stay() -> None:
    """The figure rests on one person: hardly any resample holds him."""
    people = [f"p{i}" for i in range(30)]

    def only_first(rows: np.ndarray) -> dict[str, float]:
        if not (rows == 0).any():
            raise ValueError("nothing to count")
        return {"share": 0.5}

    assert with_intervals(only_first, people, people) == {"share": 0.5, "low share": None, "high share": None}


def test_sigma_of_images() -> None:
    values, people = np.arange(100.0), [f"p{i // 4}" for i in range(100)]
    found = image_figures("sigma", values, people)
    assert found["sigma"] == pytest.approx(49.5)
    assert found["sigma q0.25"] == pytest.approx(np.quantile(values, 0.25))
    assert found["low sigma"] < 49.5 < found["high sigma"]


def test_one_fold_is_refused(pairs: PairProtocol, clean: Seen) -> None:
    alone = PairProtocol(pairs.first, pairs.second, pairs.same, np.zeros(len(pairs), np.int64))
    with pytest.raises(InputError, match="at least two folds"):
        choose_operation(clean, alone)
