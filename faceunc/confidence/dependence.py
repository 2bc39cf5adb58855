"""How many independent comparisons are P comparisons worth, when the same people stand in many of them?"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from faceunc.metrics.values import Bools


class Dependence:
    """Who is in which of P comparisons; made once, asked for many thresholds.

    The variance of an error rate is the sum of the covariances of all comparisons with a person in common, estimated
    without a model (Aronow, Samii & Assenova 2015: dyadic clusters).

    Args:
        first_subject, second_subject: (P,) integers or strings, equal in genuine comparisons.

    Raises:
        ValueError: shapes that do not fit, or no comparison.
    """

    def __init__(self, first_subject: ArrayLike, second_subject: ArrayLike) -> None:
        first, second = np.asarray(first_subject), np.asarray(second_subject)
        if first.ndim != 1 or first.shape != second.shape or not len(first):
            raise ValueError(f"both must be (P,), P >= 1. Got {first.shape} and {second.shape} instead.")
        names, number = np.unique(np.concatenate([first, second]), return_inverse=True)
        self.people, self.comparisons = len(names), len(first)
        self._one, self._two = number[: len(first)], number[len(first) :]
        low, high = np.minimum(self._one, self._two), np.maximum(self._one, self._two)
        _, self._pair = np.unique(low * np.int64(self.people) + high, return_inverse=True)
        self._pairs = int(self._pair.max()) + 1
        self._mixed = self._one != self._two

    def effect(self, wrong: Bools) -> float:
        """The design effect: variance of the error rate over that of P independent comparisons; at least P over the
        number of different pairs of people.

        P / effect is the effective number of comparisons (Kish 1965). ``wrong``: (P,).
        """
        rate, least = float(wrong.mean()), self.comparisons / self._pairs
        if rate in (0.0, 1.0):
            return least
        residual = wrong - rate
        mixed = np.where(self._mixed, residual, 0.0)
        of_people = np.bincount(self._one, residual, self.people) + np.bincount(self._two, mixed, self.people)
        of_pairs = np.bincount(self._pair, mixed)  # the sums of both people hold these covariances: once too often
        variance = float((of_people**2).sum() - (of_pairs**2).sum())
        return max(least, variance / (len(wrong) * rate * (1.0 - rate)))
