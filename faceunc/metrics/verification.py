"""1:1 verification: accuracy by cross-validation, TAR at FAR, equal error rate, the ROC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from faceunc.metrics.checks import scores_and_labels

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


@dataclass(frozen=True)
class TarAtFar:
    """One operating point: the largest TAR whose FAR does not exceed the target.

    Attributes:
        target: the FAR asked for. far: the FAR achieved (<= target). tar: true accept rate; FNMR is 1 - tar.
        threshold: accept where score >= threshold (infinite when nothing may be accepted).
        genuine, impostors: counts of comparisons. false_accepts: impostors accepted.
    """

    target: float
    far: float
    tar: float
    threshold: float
    genuine: int
    impostors: int
    false_accepts: int

    @property
    def reliable(self) -> bool:
        """Whether at least ten impostors stand behind the target (target x impostors >= 10)."""
        return self.target * self.impostors >= 10 - 1e-9


def roc(scores: ArrayLike, same: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """(far, tar, threshold), each a row per distinct score, from "accept nothing" (threshold inf) to "accept all".

    All distinct scores are kept. Raises ValueError for unusable input.
    """
    values, labels = scores_and_labels(scores, same)
    far, tar, threshold = roc_curve(labels, values, drop_intermediate=False)
    return far, tar, threshold


def tar_at_far(scores: ArrayLike, same: ArrayLike, target: float) -> TarAtFar:
    """The conservative operating point at FAR ``target`` in [0, 1]: FAR never exceeds it; ties are accepted together.

    Raises:
        ValueError: target outside [0, 1], or unusable scores.
    """
    if not 0.0 <= target <= 1.0:
        raise ValueError(f"target must be in [0, 1]. Got {target} instead.")
    far, tar, threshold = roc(scores, same)
    labels = np.asarray(same).astype(bool)
    impostors = int((~labels).sum())
    accepts = np.rint(far * impostors)
    best = int(np.flatnonzero(accepts <= target * impostors * (1 + 1e-12))[-1])
    return TarAtFar(
        target,
        float(far[best]),
        float(tar[best]),
        float(threshold[best]),
        int(labels.sum()),
        impostors,
        int(accepts[best]),
    )


def equal_error_rate(scores: ArrayLike, same: ArrayLike) -> float:
    """Where FAR = FNMR, linearly interpolated between the two neighbouring points of the ROC."""
    far, tar, _ = roc(scores, same)
    gap = far - (1.0 - tar)
    after = int(np.argmax(gap >= 0))
    if after == 0 or gap[after] == 0:
        return float(far[after])
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(far[after - 1] + share * (far[after] - far[after - 1]))


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
