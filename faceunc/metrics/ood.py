"""In or out of distribution: how well a score tells two classes apart. Higher score = more "in" = positive."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, roc_auc_score

from faceunc.metrics.values import Bools, Floats, between, two_classes, vectors


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC (scikit-learn): the chance that a positive scores above a negative, ties half.

    Args:
        scores: (n,) finite, on any scale. positive: (n,) boolean or 0/1, true = "in".

    Raises:
        ValueError: unusable arrays, or one class only.
    """
    values, labels = _checked(scores, positive)
    return float(roc_auc_score(labels, values))


def aupr(scores: ArrayLike, positive: ArrayLike) -> float:
    """Average precision of the positives (scikit-learn: steps, no interpolation); chance is their share.

    For "out" as the positive class pass ``-scores`` and the complement. Raises ValueError as :func:`auroc`.
    """
    values, labels = _checked(scores, positive)
    return float(average_precision_score(labels, values))


def fpr_at_tpr(scores: ArrayLike, positive: ArrayLike, tpr: float) -> float:
    """Share of negatives accepted at the highest threshold that accepts at least the share ``tpr`` of the positives.

    The threshold is an observed positive's score; equal scores are accepted together; nothing is interpolated.

    Raises:
        ValueError: unusable arrays, one class only, or tpr outside [0, 1].
    """
    values, labels = _checked(scores, positive)
    between("tpr", tpr, 0.0, 1.0)
    ranked = np.sort(values[labels])[::-1]
    needed = int(np.ceil(tpr * len(ranked) - 1e-9))
    threshold = ranked[needed - 1] if needed > 0 else np.inf
    return float((values[~labels] >= threshold).mean())


def fpr95(scores: ArrayLike, positive: ArrayLike) -> float:
    """:func:`fpr_at_tpr` at a TPR of at least .95: the share of "out" taken for "in". Lower = better."""
    return fpr_at_tpr(scores, positive, 0.95)


def _checked(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, Bools]:
    """Scores (n,) finite in float64; both classes."""
    (values,) = vectors(scores=scores)
    return values, two_classes("positive", positive, len(values))
