"""Log-odds of the sweep: by the calibrator that is held out, and left out where none can be cross-fitted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from faceunc.confidence import Evidence
from faceunc.embeddings import Embeddings
from faceunc.protocols.pairs import PairProtocol
from faceunc.sweep.degradation_odds import HeldOutOdds, odds_methods, why_no_odds

FOLDS, PEOPLE, EACH = 4, 3, 2


def protocol(folds: int = FOLDS) -> PairProtocol:
    """A genuine pair of every person; PEOPLE people a fold."""
    names = [f"f{fold}p{number}" for fold in range(folds) for number in range(PEOPLE)]
    fold = np.repeat(np.arange(folds), PEOPLE)
    one, two = ([f"{name}/{k}.jpg" for name in names] for k in (1, 2))
    return PairProtocol(tuple(one), tuple(two), np.ones(len(fold), bool), fold, tuple(names), tuple(names))


def bench_of(pairs: PairProtocol, given: bool = False) -> Any:
    identities = [name for name in pairs.first_subject for _ in range(EACH)]
    part = np.array([pairs.fold[pairs.first_subject.index(name)] >= pairs.num_folds // 2 for name in identities])
    return SimpleNamespace(
        given_head=given,
        head_names=["pfe", "dul"],
        heads={"pfe": SimpleNamespace(part=part.astype(np.int64))},
        source=SimpleNamespace(
            photos=SimpleNamespace(identities=identities),
            landmarks=SimpleNamespace(state=np.zeros(len(identities), np.int64)),
        ),
    )


def test_one_score_a_head() -> None:
    assert odds_methods(bench_of(protocol())) == [
        ("log-odds (pfe)", "pfe", "log-odds"),
        ("log-odds (dul)", "dul", "log-odds"),
    ]


@pytest.mark.parametrize("folds", [4, 10])
def test_even_folds_can_be_calibrated(folds: int) -> None:
    assert why_no_odds(bench_of(protocol(folds)), protocol(folds)) == ""


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_folds_without_two_even_halves(folds: int) -> None:
    why = why_no_odds(bench_of(protocol(folds)), protocol(folds))
    assert why.startswith("calibrators need an even number of folds, at least 4")
    assert why.endswith(f"there are {folds}")


def test_the_users_head() -> None:
    assert why_no_odds(bench_of(protocol(), given=True), protocol()).startswith("one head embeds everybody")


def test_a_person_in_two_folds() -> None:
    pairs = protocol()
    names = ["f1p0" if name == "f0p0" else name for name in pairs.first_subject]
    moved = PairProtocol(pairs.first, pairs.second, pairs.same, pairs.fold, tuple(names), tuple(names))
    assert why_no_odds(bench_of(pairs), moved) == "people stand in pairs of several folds"


def test_a_fold_without_photographs_to_fit_on() -> None:
    """The faces of all but one person of the third fold were not found."""
    pairs = protocol()
    bench = bench_of(pairs)
    hidden = [name.startswith("f2") and name != "f2p0" for name in bench.source.photos.identities]
    bench.source.landmarks.state[hidden] = 1
    assert why_no_odds(bench, pairs).startswith("fold 3 has too few people")


class Numbered:
    """A calibrator whose log-odds are its fold and a hundredth of what it read."""

    def __init__(self, fold: int) -> None:
        self.fold = fold

    def log_odds(self, evidence: Evidence) -> Any:
        return self.fold + evidence.similarity / 100.0


def test_every_pair_is_read_by_its_own_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, rng = protocol(), np.random.default_rng(0)
    odds = HeldOutOdds(bench_of(pairs), pairs)
    monkeypatch.setattr(odds, "_calibrators", lambda head: [Numbered(fold) for fold in range(FOLDS)])
    order = rng.permutation(len(pairs))
    mean = rng.normal(size=(2, len(pairs), 8)).astype(np.float32)
    mean /= np.linalg.norm(mean, axis=2, keepdims=True)
    log_var = np.zeros((len(pairs), 1), np.float32)
    left, right = (
        Embeddings(mean[k], log_var, [side[i] for i in order]) for k, side in enumerate((pairs.first, pairs.second))
    )
    expected = pairs.fold[order] + (mean[0] * mean[1]).sum(axis=1) / 100.0
    found = odds(left, right, "pfe")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(KeyError):
        odds(Embeddings(mean[0][:1], log_var[:1], ["nobody.jpg"]), right[:1], "pfe")
