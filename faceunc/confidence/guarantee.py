"""Thresholds with a promise: the error rate stays below a bound, with a stated confidence, on a finite sample.

The bound is that of Clopper & Pearson (1934), exact for independent comparisons. Where comparisons share people it is
computed with the effective number of comparisons (Korn & Graubard 1998), an approximation that needs a hundred people
or more. Of many thresholds, from strict to loose, the last is taken before the bound first fails, which costs no
correction for having looked at many (fixed-sequence testing, as in Angelopoulos et al. 2021, "Learn then test").
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, betabinom

from faceunc.confidence.dependence import Dependence
from faceunc.metrics.values import Floats, inside, vectors

_RELIABLE = 10  # errors that a design effect must rest on
_FEW_PEOPLE = 100
_GRID = 128  # thresholds that are tested, at most


@dataclass(frozen=True)
class Guarantee:
    """A threshold, and what it rests on.

    Attributes:
        threshold: FMR: "score >= threshold" is accepted. FNMR: "score < threshold" is rejected.
        target: highest rate asked for. confidence: with which it holds. bound: the upper bound reached, <= target.
        observed: the rate in the sample. comparisons, people: its size. effective: independent comparisons it is worth.
        future: None for the rate in the population, else the number of new comparisons that the promise is about.
        warnings: why the promise may be weak.
    """

    threshold: float
    target: float
    confidence: float
    bound: float
    observed: float
    comparisons: int
    people: int
    effective: float
    future: int | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def error_bound(errors: float, comparisons: float, confidence: float = 0.95) -> float:
    """Upper bound of an error rate after ``errors`` in ``comparisons``; one-sided, in [0, 1].

    Clopper & Pearson 1934; numbers that are not whole are allowed (effective ones, Korn & Graubard 1998).

    Raises:
        ValueError: confidence not between 0 and 1, no comparison, or errors outside [0, comparisons].
    """
    inside("confidence", confidence, 0.0, 1.0)
    if not 0 <= errors <= comparisons or comparisons <= 0:
        raise ValueError(f"errors must be in [0, comparisons]. Got {errors} of {comparisons} instead.")
    return 1.0 if errors == comparisons else float(beta.ppf(confidence, errors + 1, comparisons - errors))


def needed(target: float, confidence: float = 0.95) -> int:
    """Independent comparisons without an error that it takes to promise a rate of ``target``."""
    return int(np.ceil(np.log1p(-confidence) / np.log1p(-target)))


def fmr_threshold(
    impostor: ArrayLike,
    first_subject: ArrayLike,
    second_subject: ArrayLike,
    target: float,
    confidence: float = 0.95,
    future: int | None = None,
) -> Guarantee:
    """The lowest threshold whose FMR is promised to stay at or below ``target``.

    Args:
        impostor: (P,) scores of comparisons of two people; higher = more likely the same person.
        first_subject, second_subject: (P,) who they are, so that dependence can be counted.
        target: highest FMR. confidence: probability that the promise holds, over samples such as this. Both in (0, 1).
        future: None promises the rate in the population; a number M the share that is seen in the next M independent
            comparisons (beta-binomial, exact where the sample is independent, too), which takes a higher threshold.

    Raises:
        ValueError: shapes that do not fit, values out of range, or a sample too small for any threshold (the message
            says what would do).
    """
    (scores,) = vectors(impostor=impostor)
    return _search(scores, Dependence(first_subject, second_subject), target, confidence, future, "FMR")


def fnmr_threshold(
    genuine: ArrayLike, subject: ArrayLike, target: float, confidence: float = 0.95, future: int | None = None
) -> Guarantee:
    """The highest threshold such that rejecting what lies below keeps FNMR at or below ``target``.

    ``genuine``: (P,) scores of comparisons of one person, ``subject``: (P,) who it is. The rest: :func:`fmr_threshold`.
    """
    (scores,) = vectors(genuine=genuine)
    found = _search(-scores, Dependence(subject, subject), target, confidence, future, "FNMR")
    return Guarantee(**{**asdict(found), "threshold": float(np.nextafter(-found.threshold, np.inf))})


def _search(
    scores: Floats, dependence: Dependence, target: float, confidence: float, future: int | None, what: str
) -> Guarantee:
    """Lowest threshold at which the share of scores at or above it is promised."""
    inside("target", target, 0.0, 1.0)
    inside("confidence", confidence, 0.0, 1.0)
    if len(scores) != dependence.comparisons:
        raise ValueError(f"scores and people must be (P,). Got {len(scores)} and {dependence.comparisons} instead.")
    levels, counts = np.unique(scores, return_counts=True)
    levels, above = levels[::-1], np.concatenate([[0], np.cumsum(counts[::-1])])  # above[i]: scores above levels[i]
    enough = min(int(np.searchsorted(above[1:], _RELIABLE)), len(levels) - 1)
    floor = dependence.effect(scores >= levels[enough])
    last = int(np.searchsorted(above, target * len(scores), side="right"))
    best: tuple[int, float, float] | None = None
    for level in np.unique(np.linspace(0, min(last, len(levels) - 1), _GRID).astype(int)):
        effect = max(floor, dependence.effect(scores > levels[level]))
        effective = len(scores) / effect
        bound = _bound(above[level] / effect, effective, target, confidence, future)
        if bound > target:
            break
        best = int(level), bound, effective
    if best is None:
        raise ValueError(
            f"{len(scores)} comparisons, worth {len(scores) / floor:.0f} independent ones, cannot promise an {what} of "
            f"{target:g} at {confidence:.4g} confidence: it takes {needed(target, confidence)} independent ones "
            "without an error" + (" for the population, and more for new comparisons" if future else "")
        )
    level, bound, effective = best
    errors, count, people = int(above[level]), len(scores), dependence.people
    notes = _notes(errors, count / effective, people, counts[::-1][level] > 0.5 * target * count)
    threshold = float(np.nextafter(levels[level], np.inf))
    return Guarantee(
        threshold, target, confidence, bound, errors / count, count, people, effective, future, tuple(notes)
    )


def _bound(errors: float, effective: float, target: float, confidence: float, future: int | None) -> float:
    """What is compared with the target: the bound of the rate, or the rate that M new ones exceed too rarely."""
    if future is None:
        return error_bound(errors, effective, confidence)
    if future < 1:
        raise ValueError(f"future must be at least 1. Got {future} instead.")
    allowed = np.floor(target * future + 1e-9)
    exceeds = betabinom.sf(allowed, future, errors + 1, max(effective - errors, 1e-9))
    return target if exceeds <= 1.0 - confidence else 1.0


def _notes(errors: int, effect: float, people: int, tied: bool) -> list[str]:
    found = []
    if errors < _RELIABLE:
        found.append(f"only {errors} errors stand behind the threshold: it will differ much from sample to sample")
    if effect > 1.5:
        found.append(f"comparisons share people: they are worth 1/{effect:.1f} of their number (counted in the bound)")
    if people < _FEW_PEOPLE:
        found.append(f"only {people} people: the effective number is uncertain, and others may differ from them")
    if tied:
        found.append("many comparisons have the very score of the threshold: the rates come in steps")
    return found
