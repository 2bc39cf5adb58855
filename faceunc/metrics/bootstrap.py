"""Intervals for figures over pairs, by resampling SUBJECTS: pairs share subjects and are not independent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.values import Floats, inside

Rows = NDArray[np.int64]
Statistic = Callable[[Rows], "float | Floats"]


@dataclass(frozen=True)
class Interval:
    """A figure (or an array of figures) with a percentile interval.

    Attributes:
        value: on all pairs. low, high: ends of the interval; shaped as value.
        replicates: resamples drawn. failed: those of them without a value, left out of the interval.
    """

    value: float | Floats
    low: float | Floats
    high: float | Floats
    replicates: int
    failed: int


def subject_bootstrap(
    statistic: Statistic,
    first_subject: ArrayLike,
    second_subject: ArrayLike,
    replicates: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile interval of a figure over P pairs, subjects drawn with replacement.

    With c_i the times that subject i was drawn, a pair of two subjects i and j comes c_i x c_j times, a genuine pair
    c_i times (Bolle, Ratha & Pankanti 2004, for genuine pairs; Snijders & Borgatti 1999, for pairs of two).

    Args:
        statistic: gets the rows of the pairs to use, (R,) int64 with repetition, rising; returns one figure or an
            array of figures, of one shape throughout. Where it raises ValueError (no genuine pair left ...) or gives
            NaN, and where no pair is left, the replicate is counted as failed.
        first_subject, second_subject: (P,) integers or strings; equal in genuine pairs.
        level: the nominal coverage, between 0 and 1. seed: the same one gives the same interval.

    Raises:
        ValueError: shapes that do not fit, fewer than two subjects, replicates < 2, level not between 0 and 1, a
            statistic that has no value on all pairs or changes its shape, or more than 10% of replicates failed.
    """
    if replicates < 2:
        raise ValueError(f"replicates must be at least 2. Got {replicates} instead.")
    inside("level", level, 0.0, 1.0)
    first, second, subjects = _numbered(first_subject, second_subject)
    value = np.asarray(statistic(np.arange(len(first))), dtype=np.float64)
    if np.isnan(value).any():
        raise ValueError(f"statistic must be a number on all pairs. Got {value} instead.")
    rng = np.random.default_rng(seed)
    drawn = [_replicate(statistic, first, second, subjects, rng) for _ in range(replicates)]
    kept = [figure for figure in drawn if figure is not None]
    failed = replicates - len(kept)
    if failed > 0.1 * replicates:
        raise ValueError(f"statistic must fail in at most 10% of replicates. Got {failed} of {replicates} instead.")
    if any(figure.shape != value.shape for figure in kept):
        raise ValueError(f"statistic must return one shape. Got {value.shape} and others instead.")
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(np.stack(kept), [tail, 1.0 - tail], axis=0)
    return Interval(_plain(value), _plain(low), _plain(high), replicates, failed)


def _numbered(first_subject: ArrayLike, second_subject: ArrayLike) -> tuple[Rows, Rows, int]:
    """Both subjects of each pair as numbers from 0, and how many subjects there are."""
    first, second = np.asarray(first_subject), np.asarray(second_subject)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ValueError(
            f"first_subject and second_subject must be (P,), P >= 1. Got {first.shape} and {second.shape} instead."
        )
    if (first.dtype.kind in "iu") != (second.dtype.kind in "iu"):
        raise ValueError(f"subjects must be of one kind. Got {first.dtype} and {second.dtype} instead.")
    names, number = np.unique(np.concatenate([first, second]), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"first_subject and second_subject must name two subjects or more. Got {len(names)} instead.")
    return number[: len(first)], number[len(first) :], len(names)


def _replicate(
    statistic: Statistic, first: Rows, second: Rows, subjects: int, rng: np.random.Generator
) -> Floats | None:
    """The figure(s) on one resample; None where there is none."""
    drawn = np.bincount(rng.integers(0, subjects, subjects), minlength=subjects)
    times = np.where(first == second, drawn[first], drawn[first] * drawn[second])
    rows = np.repeat(np.arange(len(first)), times)
    if not len(rows):
        return None
    try:
        figure = np.asarray(statistic(rows), dtype=np.float64)
    except ValueError:
        return None
    return figure if np.isfinite(figure).all() else None


def _plain(figure: Floats) -> float | Floats:
    """A Python float where there is one figure, the array where there are several."""
    return float(figure) if figure.ndim == 0 else figure
