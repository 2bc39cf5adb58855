"""1:1 verification: accuracy by cross-validation, TAR at FAR, equal error rate, the ROC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from faceunc.metrics.checks import scores_and_labels
from faceunc.metrics.sorted_scores import TarAtFar, sort_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KFoldAccuracy:
    """Accuracy per held-out fold, with the threshold that the other folds chose.

    Attributes:
        accuracy: (K,) share of right decisions of each fold.
        threshold: (K,) "same person" where score >= threshold.
    """

    accuracy: Floats
    threshold: Floats

    @property
    def mean(self) -> float:
        """Mean over folds."""
        return float(self.accuracy.mean())

    @property
    def std(self) -> float:
        """Standard deviation over folds (population, as LFW's tables print it)."""
        return float(self.accuracy.std())


def roc(scores: ArrayLike, same: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """(far, tar, threshold), each a row per distinct score, from "accept nothing" (threshold inf) to "accept all".

    All distinct scores are kept. Raises ValueError for unusable input.
    """
    values, labels = scores_and_labels(scores, same)
    far, tar, threshold = roc_curve(labels, values, drop_intermediate=False)
    return far, tar, threshold


def tar_at_far(scores: ArrayLike, same: ArrayLike, target: float) -> TarAtFar:
    """The conservative operating point at FAR ``target`` in [0, 1]: FAR never exceeds it; ties are accepted together.

    For several targets or millions of scores, sort once: :func:`faceunc.metrics.sorted_scores.sort_scores`.

    Raises:
        ValueError: target outside [0, 1], or unusable scores.
    """
    return sort_scores(scores, same).tar_at_far(target)


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """Where FAR = FNMR, linearly interpolated between the two neighbouring points of the ROC."""
    return sort_scores(scores, same).equal_error_rate()


def kfold_accuracy(scores: ArrayLike, same: ArrayLike, fold: ArrayLike) -> KFoldAccuracy:
    """For each fold: the threshold that is best on the other folds, among the observed scores, judged on this one.

    Of several best thresholds the middle one of the first run of them is taken, so that no end of a plateau is
    preferred.

    Args:
        scores, same: (P,). fold: (P,) integers, at least two different ones.

    Raises:
        ValueError: unusable scores, or a single fold.
    """
    values, labels = scores_and_labels(scores, same)
    folds = np.asarray(fold)
    numbers = np.unique(folds)
    if folds.shape != values.shape or len(numbers) < 2:
        raise ValueError(f"fold must be (P,) with at least two folds. Got shape {folds.shape}, {len(numbers)} fold(s).")
    thresholds = np.array([best_threshold(values[folds != k], labels[folds != k]) for k in numbers])
    accuracy = np.array(
        [((values[folds == k] >= t) == labels[folds == k]).mean() for k, t in zip(numbers, thresholds, strict=True)]
    )
    return KFoldAccuracy(accuracy, thresholds)


def best_threshold(scores: ArrayLike, same: ArrayLike) -> float:
    """The observed score at which ``score >= threshold`` decides most pairs rightly (see :func:`kfold_accuracy`)."""
    far, tar, threshold = roc(scores, same)
    labels = np.asarray(same).astype(bool)
    right = np.rint(tar * labels.sum()) + np.rint((1.0 - far) * (~labels).sum())
    right[0] = -1.0  # the infinite threshold is no observed score
    best = np.flatnonzero(right == right.max())
    run = best[: int(np.argmax(np.diff(best, append=best[-1] + 2) > 1)) + 1]
    return float(threshold[run[len(run) // 2]])
