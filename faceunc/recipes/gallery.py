"""Which photographs of a person to keep in a gallery, so that the template fused of them is as good as it can be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.metrics.values import vectors
from faceunc.recipes.redundancy import error_covariance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Costs = Callable[[list[int]], Floats]


def choose_photos(faces: Embeddings, keep: int, rule: str = "representative", quality: ArrayLike | None = None) -> Ints:
    """Positions of the photographs to keep, the most useful first.

    Args:
        faces: n photographs of ONE person. keep: how many; all when there are fewer.
        rule: "representative": one after the other, the photograph that brings the template of those kept (fused by
            inverse variance) nearest to the template of all (herding: Welling, ICML 2009);
            "information": the one that leaves the template of those kept with the least variance, where photographs
            that look more alike than their sigmas allow share errors and add little (:func:`error_covariance`);
            "sigma": the least sigma;
            "quality": the highest ``quality``.
        quality: (n,) for the rule "quality": norm, sharpness, face size; higher = better.

    Returns:
        int64 (min(keep, n),).

    Raises:
        ValueError: unknown rule, keep below 1, no photograph, ``quality`` missing, not (n,), or not finite.
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}. Got {rule!r} instead.")
    if keep < 1 or not len(faces):
        raise ValueError(f"keep must be at least 1, of at least 1 photograph. Got {keep} of {len(faces)} instead.")
    if rule == "quality":
        (values,) = vectors(quality=[] if quality is None else quality)
        if len(values) != len(faces):
            raise ValueError(f"quality must be ({len(faces)},). Got {values.shape} instead.")
        return _first(-values, keep)
    if rule == "sigma":
        return _first(harmonic_log_var(faces.log_var), keep)
    return _greedy(_GREEDY[rule](faces), len(faces), keep)


def _first(cost: Floats, keep: int) -> Ints:
    return np.argsort(cost, kind="stable")[:keep].astype(np.int64)


def _greedy(costs: Costs, count: int, keep: int) -> Ints:
    """Take the photograph of the least cost, given those taken before, until ``keep`` are taken."""
    chosen: list[int] = []
    for _ in range(min(keep, count)):
        cost = costs(chosen)
        cost[chosen] = np.inf
        chosen.append(int(np.argmin(cost)))
    return np.array(chosen, np.int64)


def _representative(faces: Embeddings) -> Costs:
    """Minus the cosine between the template of the chosen and one more, and that of all."""
    log_var = faces.log_var.astype(np.float64)
    precision = np.exp(log_var.min(axis=0) - log_var)  # relative to the best photograph: cannot overflow
    weighted = precision * faces.mean
    target = weighted.sum(axis=0) / precision.sum(axis=0)

    def costs(chosen: list[int]) -> Floats:
        fused = weighted[chosen].sum(axis=0) + weighted
        fused = fused / (precision[chosen].sum(axis=0) + precision)
        return np.asarray(-(fused @ target) / np.linalg.norm(fused, axis=1))

    return costs


def _information(faces: Embeddings) -> Costs:
    """Variance of the template of the chosen and one more, its photographs weighted by one over their variances."""
    covariance = error_covariance(faces)
    own = np.diag(covariance)
    weight = own.min() / own

    def costs(chosen: list[int]) -> Floats:
        before = weight[chosen]
        shared = covariance[:, chosen] @ before
        variance = before @ covariance[np.ix_(chosen, chosen)] @ before + 2.0 * weight * shared + weight**2 * own
        return np.asarray(variance / (before.sum() + weight) ** 2)

    return costs


_GREEDY: dict[str, Callable[[Embeddings], Costs]] = {"representative": _representative, "information": _information}
RULES = (*_GREEDY, "sigma", "quality")
