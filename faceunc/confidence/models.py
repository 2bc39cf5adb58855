"""From evidence to log-odds: sigmoid, isotonic, and a small model that is monotone in similarity and likelihood.

"monotone" is three quarters of the log-odds of boosted trees, which know at what sigmas a score means how much, and one
of the sigmoid's, which go on rising where the trees have no comparison left to split on: strict thresholds lie there.

Each kind is fitted by scikit-learn with both classes weighted alike, so that its log-odds are a log-likelihood ratio
(prior one half), and is kept as plain arrays: nothing has to be unpickled to use it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.evidence import RISING, Evidence

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Parameters = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Model:
    """One kind of calibration.

    Attributes:
        fit: (evidence, same (P,), weight (P,)) -> parameters, each an array. log_odds: (parameters, evidence) -> (P,).
        check: raises ValueError or KeyError for parameters, read from a file, that ``log_odds`` could not work with.
    """

    fit: Callable[[Evidence, Bools, Floats], Parameters]
    log_odds: Callable[[Parameters, Evidence], Floats]
    check: Callable[[Parameters], None]


def _fit_sigmoid(evidence: Evidence, same: Bools, weight: Floats) -> Parameters:
    """Platt (1999): a logistic regression on the likelihood score alone."""
    from sklearn.linear_model import LogisticRegression

    centre, scale = evidence.mls.mean(), evidence.mls.std() or 1.0
    fitted = LogisticRegression(C=1e4).fit(((evidence.mls - centre) / scale)[:, None], same, weight)
    slope = max(float(fitted.coef_[0, 0]), 0.0) / scale
    return {"slope": np.array(slope), "offset": np.array(float(fitted.intercept_[0]) - slope * centre)}


def _sigmoid(parameters: Parameters, evidence: Evidence) -> Floats:
    return np.asarray(parameters["slope"] * evidence.mls + parameters["offset"], np.float64)


def _check_sigmoid(parameters: Parameters) -> None:
    if parameters["slope"].shape != () or parameters["offset"].shape != () or not parameters["slope"] >= 0:
        raise ValueError("slope and offset must be numbers, the slope not negative")


def _fit_isotonic(evidence: Evidence, same: Bools, weight: Floats) -> Parameters:
    """Zadrozny & Elkan (2002): the best rising function of the likelihood score."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(out_of_bounds="clip").fit(evidence.mls, same.astype(np.float64), weight)
    return {"score": fitted.X_thresholds_, "probability": fitted.y_thresholds_}


def _isotonic(parameters: Parameters, evidence: Evidence) -> Floats:
    p = np.interp(evidence.mls, parameters["score"].astype(float), parameters["probability"].astype(float))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(p) - np.log1p(-p))


def _check_isotonic(parameters: Parameters) -> None:
    score, p = parameters["score"], parameters["probability"]
    if score.dtype.kind != "f" or p.dtype.kind != "f":
        raise ValueError("score and probability must be real numbers")
    rising = score.ndim == 1 and score.shape == p.shape and len(p) > 0 and (np.diff(score) >= 0).all()
    if not (rising and (np.diff(p) >= 0).all() and p[0] >= 0 and p[-1] <= 1):
        raise ValueError("score and probability must be of one length and rise")


_OF_TREES = 0.75
_TREES = {"max_leaf_nodes": 8, "learning_rate": 0.05, "max_iter": 120, "l2_regularization": 1.0, "random_state": 0}


def _fit_monotone(evidence: Evidence, same: Bools, weight: Floats) -> Parameters:
    """Boosted small trees that rise in similarity and in likelihood at any sigmas, one table of nodes; the sigmoid."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    columns = evidence.columns()
    fitted = HistGradientBoostingClassifier(
        monotonic_cst=list(RISING[: columns.shape[1]]), early_stopping=False, **_TREES
    ).fit(columns, same, weight)
    nodes = [tree[0].nodes for tree in fitted._predictors]
    sizes = np.array([len(tree) for tree in nodes])
    flat, starts = np.concatenate(nodes), np.repeat(np.cumsum(sizes) - sizes, sizes)
    parameters = {
        "feature": flat["feature_idx"].astype(np.int32),
        "threshold": flat["num_threshold"].astype(np.float64),
        "left": (flat["left"] + starts).astype(np.int32),
        "right": (flat["right"] + starts).astype(np.int32),
        "leaf": flat["is_leaf"].astype(np.uint8),
        "value": flat["value"].astype(np.float64),
        "roots": (np.cumsum(sizes) - sizes).astype(np.int32),
        "baseline": np.asarray(float(np.ravel(fitted._baseline_prediction)[0])),
        "columns": np.array(columns.shape[1]),
    }
    few = evidence[slice(0, 1000)]
    if not np.allclose(_trees(parameters, few), fitted.decision_function(few.columns()), atol=1e-6):
        raise RuntimeError("this version of scikit-learn keeps its trees in another way than faceunc reads them")
    return {**parameters, **_fit_sigmoid(evidence, same, weight)}


def _monotone(parameters: Parameters, evidence: Evidence) -> Floats:
    return _OF_TREES * _trees(parameters, evidence) + (1.0 - _OF_TREES) * _sigmoid(parameters, evidence)


def _trees(parameters: Parameters, evidence: Evidence) -> Floats:
    columns = evidence.columns()
    wanted = int(parameters["columns"])
    if columns.shape[1] != wanted:
        found = "without" if columns.shape[1] < wanted else "with"
        raise ValueError(
            f"this calibrator was fitted on {wanted} columns, and these comparisons come {found} epistemic"
        )
    node = np.tile(parameters["roots"].astype(np.int64), (len(columns), 1))
    rows = np.arange(len(columns))[:, None]
    leaf, threshold = parameters["leaf"].astype(bool), parameters["threshold"]
    feature = np.where(leaf, 0, parameters["feature"])
    while not leaf[node].all():
        goes_left = columns[rows, feature[node]] <= threshold[node]
        child = np.where(goes_left, parameters["left"][node], parameters["right"][node])
        node = np.where(leaf[node], node, child)
    return np.asarray(parameters["baseline"] + parameters["value"][node].sum(axis=1), np.float64)


def _check_monotone(parameters: Parameters) -> None:
    """Nodes must point forward, so that every walk ends at a leaf."""
    _check_sigmoid(parameters)
    leaf, left, right = (parameters[name] for name in ("leaf", "left", "right"))
    count, inner = len(leaf), np.asarray(parameters["leaf"]) == 0
    for name in ("feature", "threshold", "left", "right", "leaf", "value"):
        kind = "f" if name in ("threshold", "value") else "iu"
        if parameters[name].shape != (count,) or parameters[name].dtype.kind not in kind:
            raise ValueError(f"{name} must be ({count},), of kind {kind}")
    here = np.arange(count)
    for child in (left, right):
        if not ((child > here) & (child < count))[inner].all():
            raise ValueError("a node's children must come after it")
    columns, roots, feature = int(parameters["columns"]), parameters["roots"], parameters["feature"]
    if not 6 <= columns <= len(RISING) or not ((feature >= 0) & (feature < columns))[inner].all():
        raise ValueError("a node reads a column that is not there")
    if (
        roots.ndim != 1
        or roots.dtype.kind not in "iu"
        or not ((roots >= 0) & (roots < count)).all()
        or parameters["baseline"].shape != ()
    ):
        raise ValueError("roots must be numbers of nodes")


MODELS: dict[str, Model] = {
    "sigmoid": Model(_fit_sigmoid, _sigmoid, _check_sigmoid),
    "isotonic": Model(_fit_isotonic, _isotonic, _check_isotonic),
    "monotone": Model(_fit_monotone, _monotone, _check_monotone),
}
