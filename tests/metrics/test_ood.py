"""AUROC, AUPR and FPR95 against plain loops; scores beyond [0, 1], with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceunc.metrics.ood import aupr, auroc, fpr95, fpr_at_tpr

Rows = list[tuple[int, bool]]
METRICS = (auroc, aupr, fpr95)
rows_of = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=2, max_size=25)


def columns(rows: Rows) -> tuple[list[float], list[bool]]:
    """Scores of MLS's magnitude; both classes."""
    labels = [True, False] + [r[1] for r in rows[2:]]
    return [-1500.0 + r[0] for r in rows], labels


def brute_fpr(scores: list[float], labels: list[bool], tpr: float) -> float:
    """The lowest FPR of the thresholds whose TPR is high enough."""
    found = [] if tpr > 0 else [0.0]
    positives, negatives = sum(labels), len(labels) - sum(labels)
    for threshold in scores:
        accepted = [y for s, y in zip(scores, labels, strict=True) if s >= threshold]
        if sum(accepted) / positives >= tpr - 1e-12:
            found.append((len(accepted) - sum(accepted)) / negatives)
    return min(found)


def brute_precision(scores: list[float], labels: list[bool]) -> float:
    """Sum of precision times the step of recall over the distinct scores."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        accepted = [y for s, y in zip(scores, labels, strict=True) if s >= threshold]
        recall = sum(accepted) / sum(labels)
        total, before = total + (recall - before) * sum(accepted) / len(accepted), recall
    return total


@given(rows_of, st.one_of(st.sampled_from([0.0, 0.5, 0.95, 1.0]), st.floats(0.001, 1)))
@settings(max_examples=100)
def test_against_plain_loops(rows: Rows, tpr: float) -> None:
    scores, labels = columns(rows)
    ins, outs = ([s for s, y in zip(scores, labels, strict=True) if y == want] for want in (True, False))
    wins = sum((i > o) + (i == o) / 2 for i in ins for o in outs)
    assert auroc(scores, labels) == pytest.approx(wins / len(ins) / len(outs))
    assert aupr(scores, labels) == pytest.approx(brute_precision(scores, labels))
    assert fpr_at_tpr(scores, labels, tpr) == pytest.approx(brute_fpr(scores, labels, tpr))
    assert fpr95(scores, labels) == pytest.approx(brute_fpr(scores, labels, 0.95))


@given(rows_of, st.integers(0, 99))
@settings(max_examples=60)
def test_order_does_not_matter(rows: Rows, seed: int) -> None:
    scores, labels = (np.array(column) for column in columns(rows))
    order = np.random.default_rng(seed).permutation(len(rows))
    for metric in METRICS:
        assert metric(scores, labels) == pytest.approx(metric(scores[order], labels[order]))


def test_float32_agrees() -> None:
    rng = np.random.default_rng(0)
    scores, labels = (1500 + rng.standard_normal(300)).astype(np.float32), rng.random(300) < 0.5
    for metric in METRICS:
        assert metric(scores, labels) == metric(scores.astype(np.float64), labels)


def test_known_cases() -> None:
    scores, labels = np.arange(40.0), np.arange(40) >= 20
    assert [metric(scores, labels) for metric in METRICS] == [1.0, 1.0, 0.0]
    assert [metric(-scores, labels) for metric in (auroc, fpr95)] == [0.0, 1.0]
    assert [metric(np.zeros(40), labels) for metric in METRICS] == [0.5, 0.5, 1.0]  # all ties
    scores[20] = -1.0  # one of twenty positives may be missed at 95%
    assert fpr95(scores, labels) == 0.0
    assert fpr_at_tpr(scores, labels, 1.0) == 1.0


def test_rounding_does_not_ask_for_another_positive() -> None:
    scores = np.append(np.arange(100.0, 0.0, -1.0), 93.5)  # the eighth positive lies below the only negative
    assert fpr_at_tpr(scores, np.arange(101) < 100, 0.07) == 0.0  # .07 * 100 is 7.000000000000001


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([], [], "n >= 1"),
        ([1, 2], [1, 1], "both classes"),
        ([1, 2], [0, 0], "both classes"),
        ([1, 2], [1], "positive must be"),
        ([[1, 2]], [[1, 0]], "scores must be"),
        ([1, np.nan], [1, 0], "finite"),
        ([1, np.inf], [1, 0], "finite"),
        ([1, 2], [1, -1], "boolean"),
    ],
)
def test_unusable_input(scores: list[float], labels: list[int], message: str) -> None:
    for metric in METRICS:
        with pytest.raises(ValueError, match=message):
            metric(scores, labels)


@pytest.mark.parametrize("tpr", [-0.1, 1.1, np.nan])
def test_tpr_outside_its_range(tpr: float) -> None:
    with pytest.raises(ValueError, match="tpr"):
        fpr_at_tpr([1, 2], [1, 0], tpr)
