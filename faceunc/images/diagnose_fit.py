"""How likely a flaw is at a value of a measurement: fitted on measured faces, for the table that diagnose reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.images.diagnose import FLAWS, NAMED
from faceunc.images.measures import Measures

BEYOND = 0.4  # severity from which on a degradation counts as a flaw
CAUSES = {
    "blurred": ("blur", "motion", "downsample"),
    "noisy": ("noise",),
    "compressed": ("jpeg",),
    "dark": ("darker",),
    "bright": ("brighter",),
    "flat": ("contrast",),
    "occluded": ("occlusion",),
    "cut": ("cut",),
}
PROFILE = 0.8  # yaw of a face seen from the side
_KNOTS = 25

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One measured face: what was done to it ("none", a kind of degradation, "darker", "brighter"), and how much."""

    cause: str
    severity: float
    measures: Measures


@dataclass(frozen=True)
class Faces:
    """What the reference is fitted on.

    Attributes:
        samples: faces as they are, and each of them once under every degradation.
        reduced: face size and blur of faces of reduced photographs.
        turned: angle in degrees (0 to 90) of photographs turned in the plane, and whether detection failed.
    """

    samples: Sequence[Sample]
    reduced: tuple[Floats, Floats]
    turned: tuple[Floats, NDArray[np.bool_]]


def fit_reference(faces: Faces) -> dict[str, Any]:
    """The table of :mod:`faceunc.images.diagnose`, JSON-ready."""
    clean = [sample for sample in faces.samples if sample.cause == "none"]
    kinds = {name: _caused(name, faces.samples) for name in CAUSES}
    blur = kinds["blurred"]
    looks_blurred = np.interp(faces.reduced[1], blur["at"], blur["likelihood"]) >= NAMED
    kinds["small"] = fit_likelihood(faces.reduced[0], looks_blurred, rising=False)
    yaw = np.abs(_values("yaw", clean))
    even = np.linspace(_usual("turned", clean)[1], PROFILE, len(yaw))
    kinds["turned"] = fit_likelihood([*yaw, *even], [False] * len(yaw) + [True] * len(even))
    kinds["tilted"] = fit_likelihood(*faces.turned)
    for name, table in kinds.items():
        table["usual"] = _usual(name, clean)
    return {"faces": len(clean), "kinds": {name: kinds[name] for name in FLAWS}}


def fit_likelihood(
    values: ArrayLike, flawed: ArrayLike, rising: bool = True, weight: ArrayLike | None = None
) -> dict[str, Any]:
    """P(flawed | value) by isotonic regression, thinned to a few knots for linear interpolation.

    "at half" is the value at which the likelihood passes 0.5.
    """
    from sklearn.isotonic import IsotonicRegression

    x = np.asarray(values, np.float64)
    model = IsotonicRegression(y_min=0.0, y_max=1.0, increasing=rising, out_of_bounds="clip")
    model.fit(x, np.asarray(flawed, np.float64), weight)
    knots, heights = _thin(np.asarray(model.X_thresholds_), np.asarray(model.y_thresholds_))
    order = slice(None) if rising else slice(None, None, -1)
    half = float(np.interp(NAMED, heights[order], knots[order]))
    return {
        "at": [float(f"{value:.5g}") for value in knots],
        "likelihood": [round(float(value), 4) for value in heights],
        "at half": float(f"{half:.4g}"),
    }


def _caused(name: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Half of the weight for faces as they are, half for the degraded ones."""
    kind = FLAWS[name]
    measured = [s for s in samples if not np.isnan(getattr(s.measures, kind.measure))]
    clean = np.array([s.cause == "none" for s in measured])
    flawed = np.array([s.cause in CAUSES[name] and s.severity > BEYOND for s in measured])
    weight = np.where(clean, 0.5 / clean.sum(), 0.5 / (~clean).sum())
    return fit_likelihood(_values(kind.measure, measured), flawed, kind.rising, weight)


def _values(measure: str, samples: Sequence[Sample]) -> Floats:
    return np.array([getattr(sample.measures, measure) for sample in samples], np.float64)


def _usual(name: str, clean: Sequence[Sample]) -> list[float]:
    kind = FLAWS[name]
    values = _values(kind.measure, clean)
    if kind.size_only:
        return [0.0, float(f"{np.nanquantile(np.abs(values), 0.95):.4g}")]
    return [float(f"{value:.4g}") for value in np.nanquantile(values, [0.025, 0.975])]


def _thin(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """At most so many knots, even in height, the ends among them."""
    if len(x) <= _KNOTS:
        return x, y
    targets = np.linspace(y.min(), y.max(), _KNOTS)
    keep = {0, len(x) - 1} | {int(np.argmin(np.abs(y - target))) for target in targets}
    rows = sorted(keep)
    return x[rows], y[rows]
