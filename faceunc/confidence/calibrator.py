"""A calibrator: evidence -> P(same person) at a stated prior, with the hashes of the model that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from faceunc.confidence.evidence import COLUMNS, Evidence
from faceunc.confidence.models import MODELS, Parameters
from faceunc.embeddings import VARIANCE_KEYS, Embeddings
from faceunc.errors import IncompatibleError

Floats = NDArray[np.float64]
_BLOCK = 20_000


@dataclass(frozen=True)
class Calibrator:
    """Made by :func:`fit_calibrator`.

    Attributes:
        kind: a name of :data:`MODELS`. parameters: its arrays.
        limits: least and greatest log-odds that so many comparisons can support.
        meta: what it belongs to: the keys :data:`VARIANCE_KEYS` of an embedding's ``meta``.
        card: free JSON: data, numbers of comparisons and people, figures.
    """

    kind: str
    parameters: Parameters
    limits: tuple[float, float]
    meta: Mapping[str, str] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_epistemic(self) -> bool:
        """Whether the comparisons of the fit carried an epistemic uncertainty, which it then needs."""
        return int(self.parameters.get("columns", np.array(0))) == len(COLUMNS)

    def check(self, embeddings: Embeddings) -> None:
        """Raise IncompatibleError unless these embeddings come from the backbone, alignment and head of the fit."""
        for key in VARIANCE_KEYS:
            mine, theirs = self.meta.get(key, ""), embeddings.meta.get(key, "")
            if mine != theirs:
                raise IncompatibleError(
                    f"this calibrator belongs to {key} {mine!r}, these embeddings are of {theirs!r}"
                )

    def log_odds(self, evidence: Evidence) -> Floats:
        """(P,) log-likelihood ratio of one person against two: 0 = even at a prior of one half; higher = one person.

        Raises ValueError for evidence that is not finite, and, of kind "monotone", when the comparisons have an
        epistemic uncertainty and the fit had none, or the reverse.
        """
        if not np.isfinite(evidence.columns()).all():
            raise ValueError("evidence must be finite. Got NaN or infinite values instead.")
        model = MODELS[self.kind]
        blocks = [evidence[slice(start, start + _BLOCK)] for start in range(0, len(evidence), _BLOCK)]
        found = [model.log_odds(self.parameters, block) for block in blocks]
        return np.asarray(np.clip(np.concatenate([*found, np.empty(0)]), *self.limits))

    def probability(self, evidence: Evidence, prior: float = 0.5) -> Floats:
        """(P,) P(same person), in (0, 1), when a share ``prior`` of all comparisons is of one person.

        Raises ValueError for a prior that is not between 0 and 1, and as :meth:`log_odds`.
        """
        if not 0.0 < prior < 1.0:
            raise ValueError(f"prior must be between 0 and 1. Got {prior} instead.")
        return np.asarray(expit(self.log_odds(evidence) + logit(prior)))

    def confidence(self, evidence: Evidence, threshold: float, prior: float = 0.5) -> Floats:
        """(P,) probability that "same person exactly when similarity >= threshold" is right for these photographs.

        Similarity is what the frozen model says; this is how far that answer is to be trusted.
        """
        p = self.probability(evidence, prior)
        return np.where(evidence.similarity >= threshold, p, 1.0 - p)


def fit_calibrator(
    evidence: Evidence,
    same: NDArray[np.bool_],
    kind: str = "monotone",
    weight: NDArray[np.floating] | None = None,
    meta: Mapping[str, str] | None = None,
    card: Mapping[str, Any] | None = None,
) -> Calibrator:
    """Fit on comparisons of people whom neither the head nor the later test knows.

    Args:
        evidence: P comparisons. same: (P,). kind: "sigmoid" or "isotonic" (of the MLS), or "monotone" (of everything).
        weight: (P,) above 0, such as one over the number of comparisons of a person; the classes are balanced besides.

    Raises:
        ValueError: unknown kind, shapes that do not fit, one class alone, values that are not finite.
    """
    same = np.asarray(same, bool)
    if kind not in MODELS:
        raise ValueError(f"kind must be one of {', '.join(MODELS)}. Got {kind!r} instead.")
    if same.shape != (len(evidence),):
        raise ValueError(f"same must be ({len(evidence)},). Got {same.shape} instead.")
    genuine, impostor = int(same.sum()), int((~same).sum())
    if not genuine or not impostor:
        raise ValueError(f"both classes must be there. Got {genuine} genuine and {impostor} impostor comparisons.")
    if not np.isfinite(evidence.columns()).all():
        raise ValueError("evidence must be finite. Got NaN or infinite values instead.")
    weights = _balanced(same, np.ones(len(same)) if weight is None else np.asarray(weight, np.float64))
    limits = (-float(np.log(genuine + 1)), float(np.log(impostor + 1)))
    fitted = MODELS[kind].fit(evidence, same, weights)
    counts = {"genuine": genuine, "impostor": impostor}
    return Calibrator(kind, fitted, limits, dict(meta or {}), {**(card or {}), **counts})


def _balanced(same: NDArray[np.bool_], weight: Floats) -> Floats:
    """Weights of mean 1 with the same sum in both classes."""
    if weight.shape != same.shape or not (weight > 0).all():
        raise ValueError(f"weight must be positive, {same.shape}. Got {weight.shape}, least {weight.min():g} instead.")
    total = np.where(same, weight[same].sum(), weight[~same].sum())
    return np.asarray(weight / total * (len(same) / 2))
