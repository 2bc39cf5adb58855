"""A calibrator never judges people whom it was fitted on; the figures are those of faceunc.metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.confidence import Evidence
from faceunc.confidence.calibrator import Calibrator
from faceunc.embeddings import Embeddings
from faceunc.evaluation import calibration
from faceunc.evaluation.calibration import (
    calibration_figures,
    cross_fit_calibrators,
    evaluate_calibration,
    fold_groups,
    held_out_log_odds,
    quality_bins,
    view2_pairs,
)
from faceunc.evaluation.comparisons import KINDS, DrawOptions, draw_comparisons
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.images.views import View
from faceunc.metrics.calibration import brier, expected_calibration_error, nll
from faceunc.protocols.pairs import PairProtocol

FOLDS, EACH, OTHERS, PHOTOS, DIM = 6, 5, 40, 4, 8


def protocol() -> PairProtocol:
    """Five people a fold: each compared with itself and with the next one."""
    rows = []
    for fold in range(FOLDS):
        own = [f"fold{fold}_{k}" for k in range(EACH)]
        rows += [(f"{name}/1", f"{name}/2", name, name, fold) for name in own]
        rows += [(f"{name}/1", f"{own[k - 1]}/2", name, own[k - 1], fold) for k, name in enumerate(own)]
    first, second, one, other, folds = zip(*rows, strict=True)
    return PairProtocol(first, second, np.array(one) == np.array(other), np.array(folds), one, other)


def fake_bench() -> Any:
    """People of the pairs, others, and their parts: the first half of the folds is part 0. Poor views have noise."""
    people = [f"fold{fold}_{k}" for fold in range(FOLDS) for k in range(EACH)] + [f"other_{k}" for k in range(OTHERS)]
    names = [name for name in people for _ in range(PHOTOS)]
    part_of = {n: int(n[4]) // (FOLDS // 2) if n.startswith("fold") else k % 2 for k, n in enumerate(people)}
    ids = [f"{name}/{k % PHOTOS + 1}" for k, name in enumerate(names)]
    photos = SimpleNamespace(identities=names, ids=ids, index={name: k for k, name in enumerate(ids)})
    centre = np.repeat(np.random.default_rng(0).normal(size=(len(people), DIM)), PHOTOS, axis=0)

    def embeddings(view: View, head: str, rows: NDArray[np.int64] | None = None) -> Embeddings:
        assert head == "mine"
        rng, noise = np.random.default_rng(view.mix_seed or 0), 0.3 if view.mix_seed is None else 0.9
        mean = centre + noise * rng.normal(size=centre.shape)
        mean = (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)
        log_var = (2 * np.log(noise / 3) + 0.1 * rng.normal(size=(len(mean), 1))).astype(np.float32)
        found = Embeddings(mean, log_var, [f"{name}@{view.name}" for name in ids])
        return found if rows is None else found[rows]

    return SimpleNamespace(
        source=SimpleNamespace(photos=photos, landmarks=SimpleNamespace(state=np.zeros(len(names), np.uint8))),
        heads={"mine": SimpleNamespace(part=np.array([part_of[name] for name in names]))},
        prepare=lambda views: None,
        embeddings=embeddings,
    )


@dataclass
class FakeFit:
    """In the place of fit_calibrator: remembers whom each calibrator has met, told apart by their evidence."""

    owners: dict[bytes, tuple[int, int]]
    met: list[set[int]] = field(default_factory=list)
    weights: list[NDArray[np.float64]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    def __call__(
        self, evidence: Evidence, same: NDArray[np.bool_], kind: str, weight: Any = None, *_: Any
    ) -> SimpleNamespace:
        number = len(self.met)
        self.met.append({person for row in evidence.columns() for person in self.owners[row.tobytes()]})
        self.weights.append(weight)
        self.kinds.append(kind)
        return SimpleNamespace(log_odds=lambda tested: np.full(len(tested), float(number)))


def test_fold_groups() -> None:
    bench, pairs = fake_bench(), protocol()
    names, part = np.array(bench.source.photos.identities), bench.heads["mine"].part
    group = fold_groups(bench, pairs, "mine")
    for name in set(names):
        assert len(set(group[names == name])) == 1
        if name.startswith("fold"):
            assert set(group[names == name]) == {int(name[4])}
    np.testing.assert_array_equal(group < FOLDS // 2, part == 0)
    others = np.array([name.startswith("other") for name in names])
    assert set(group[others]) == set(range(FOLDS))  # and not all in one of them
    np.testing.assert_array_equal(group, fold_groups(bench, pairs, "mine"))
    assert (group != fold_groups(bench, pairs, "mine", seed=1))[others].any()


def test_no_calibrator_meets_the_people_that_it_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, pairs = fake_bench(), protocol()
    drawn = draw_comparisons(bench, "mine", fold_groups(bench, pairs, "mine"), DrawOptions(impostor=3000))
    owners = zip(drawn.first.tolist(), drawn.second.tolist(), strict=True)
    fit = FakeFit({row.tobytes(): pair for row, pair in zip(drawn.evidence.columns(), owners, strict=True)})
    monkeypatch.setattr(calibration, "fit_calibrator", fit)
    calibrators = cross_fit_calibrators(drawn, FOLDS, "sigmoid")
    assert len(calibrators) == len(fit.met) == FOLDS
    assert set(fit.kinds) == {"sigmoid"}

    people = np.unique(bench.source.photos.identities).tolist()
    names, part = np.array(bench.source.photos.identities), bench.heads["mine"].part
    part_of = dict(zip(names.tolist(), part.tolist(), strict=True))
    for fold, met in enumerate(fit.met):
        inside = drawn.group == fold
        assert not met & {*drawn.first[inside], *drawn.second[inside]}
        assert {part_of[people[person]] for person in met} == {fold // (FOLDS // 2)}  # of the same head
        others = ~inside & (drawn.group // (FOLDS // 2) == fold // (FOLDS // 2))
        assert met == {*drawn.first[others], *drawn.second[others]}  # everybody else of that half
        np.testing.assert_allclose(fit.weights[fold], drawn.weight[others])

    tested = view2_pairs(bench, pairs, "mine")
    judge = held_out_log_odds(calibrators, tested.evidence, tested.fold).astype(int)  # says its number
    np.testing.assert_array_equal(judge, tested.fold)
    for row, number in zip(tested.row, judge, strict=True):
        known = {people[person] for person in fit.met[number]}
        assert known
        assert not known & {pairs.first_subject[row], pairs.second_subject[row]}


def test_held_out_log_odds_keep_their_places() -> None:
    rng = np.random.default_rng(0)
    mls = rng.normal(size=50)
    evidence = Evidence(mls / 10, mls, np.full((50, 2), 0.1), np.ones((50, 2)))
    models = [
        Calibrator("sigmoid", {"slope": np.array(1.0 + k), "offset": np.array(k)}, (-99.0, 99.0)) for k in range(3)
    ]
    fold = rng.integers(0, 3, 50)
    np.testing.assert_allclose(held_out_log_odds(models, evidence, fold), (1.0 + fold) * mls + fold)


def test_view2_pairs() -> None:
    """Clean once, (a) and (b) once a seed; (a) degrades the second photograph only."""
    bench, pairs = fake_bench(), protocol()
    tested = view2_pairs(bench, pairs, "mine")
    count = len(pairs)
    assert len(tested.evidence) == len(tested.kind) == count * (1 + 2 * len(TEST_SEEDS))
    for kind, seeds in zip(KINDS, ((-1,), TEST_SEEDS, TEST_SEEDS), strict=True):
        for seed in seeds:
            rows = np.flatnonzero((tested.kind == kind) & (tested.seed == seed))
            assert tested.row[rows].tolist() == list(range(count))
            np.testing.assert_array_equal(tested.same[rows], pairs.same)
            np.testing.assert_array_equal(tested.fold[rows], pairs.fold)
            views = [View() if kind != KINDS[2] else View(mix_seed=seed), View() if seed < 0 else View(mix_seed=seed)]
            index = bench.source.photos.index
            left, right = (
                bench.embeddings(view, "mine", np.array([index[name] for name in names]))
                for view, names in zip(views, (pairs.first, pairs.second), strict=True)
            )
            np.testing.assert_allclose(
                tested.evidence.similarity[rows], (left.mean * right.mean).sum(axis=1), atol=1e-5
            )
            np.testing.assert_allclose(tested.evidence.poorer[rows], np.maximum(left.sigma, right.sigma), rtol=1e-5)


def test_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are the figures of their set; as many genuine as impostor templates."""
    bench, pairs = fake_bench(), protocol()
    report = evaluate_calibration(bench, pairs, "mine", ("isotonic", "sigmoid"), DrawOptions(impostor=1500))
    rows = {(row["calibrator"], row["set"]): row for row in report.rows}
    assert set(rows) == {(k, s) for k in ("isotonic", "sigmoid") for s in ("View 2, all", *KINDS, "templates")}
    p = 1 / (1 + np.exp(-report.log_odds))  # of the last kind
    for name in KINDS:
        chosen = report.pairs.kind == name
        expected = calibration_figures(p[chosen], report.pairs.same[chosen], report.pairs.evidence.poorer[chosen])
        row = rows["sigmoid", name]
        assert row["comparisons"] == chosen.sum()
        assert {key: row[key] for key in expected} == pytest.approx(expected)
    templates = report.drawn[np.flatnonzero(~report.drawn.single)]
    few = min(int(templates.same.sum()), int((~templates.same).sum()))
    assert rows["sigmoid", "templates"]["comparisons"] == 2 * few > 0
    assert rows["sigmoid", KINDS[0]]["NLL"] < rows["sigmoid", KINDS[2]]["NLL"] < np.log(2) + 0.1


def test_figures_of_a_case_made_by_hand() -> None:
    """Five quality bins of two; only in the poorest one are the probabilities far off."""
    p = np.array([0.9, 0.1, 0.8, 0.2, 0.9, 0.1, 0.8, 0.2, 0.9, 0.1])
    same = np.array([1, 0, 1, 0, 1, 0, 1, 0, 0, 1], bool)
    poorer = np.array([1, 2, 3, 4, 5, 6, 7, 8, 10, 9]) / 100
    order = np.random.default_rng(0).permutation(10)
    found = calibration_figures(p[order], same[order], poorer[order])
    assert found["ECE, worst quality bin"] == pytest.approx(0.9)  # |0.9 - 0| and |0.1 - 1|
    assert found["Brier"] == pytest.approx((4 * 0.1**2 + 4 * 0.2**2 + 2 * 0.9**2) / 10)
    assert found["NLL"] == pytest.approx(-(4 * np.log(0.9) + 4 * np.log(0.8) + 2 * np.log(0.1)) / 10)
    assert found["ECE"] == pytest.approx((3 * abs(0.9 - 2 / 3) + 3 * abs(0.1 - 1 / 3) + 4 * 0.2) / 10)
    assert found["ECE"] == expected_calibration_error(p, same)
    assert found["Brier"] == brier(p, same)
    assert found["NLL"] == pytest.approx(nll(p, same))


@pytest.mark.parametrize("count", [1000, 1003])
def test_quality_bins_are_five_of_equal_size(count: int) -> None:
    rng = np.random.default_rng(count)
    p, poorer = rng.uniform(size=count), rng.lognormal(size=count)
    same = rng.uniform(size=count) < p
    bins = quality_bins(p, same, poorer)
    sizes = [int(diagram.count.sum()) for _, diagram in bins]
    assert len(bins) == 5
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    best_first = np.argsort(poorer)
    starts = np.cumsum([0, *sizes])
    for number, (ece, diagram) in enumerate(bins):
        rows = best_first[starts[number] : starts[number + 1]]
        assert ece == pytest.approx(expected_calibration_error(p[rows], same[rows]))
        assert (diagram.count * diagram.observed).sum() == pytest.approx(same[rows].sum())
