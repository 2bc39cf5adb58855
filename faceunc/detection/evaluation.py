"""Do the detector's intervals cover, and does its sigma follow the degradation? On people that the branch never met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from faceunc.detection.branch import BranchConfig
from faceunc.detection.features import GROUPS
from faceunc.detection.intervals import LEVELS, coverages, fit_factors, half_widths, scores
from faceunc.detection.training import BranchOptions, FittedBranch, fit_branch
from faceunc.detection.versions import Examples
from faceunc.images.face_score import FOUND
from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.training.crossfit import PARTS, split_identities

BINS = 5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrossFitBranch:
    """One branch a part, and what each says of the people of its part.

    Attributes:
        part: int (P,), of every photograph of the set. fits: ``fits[k]`` was fitted to everybody NOT in part k.
        sigma: float64 (M, 14), of every crop, in sides of the crop.
        constant: float64 (M, 14), the same without looking at the crop: the training people's root mean square
            residual of each coordinate, calibrated like sigma.
    """

    part: NDArray[np.int64]
    fits: list[FittedBranch]
    sigma: Floats
    constant: Floats


def cross_fit_branch(
    examples: Examples,
    identities: Sequence[str],
    config: BranchConfig | None = None,
    options: BranchOptions | None = None,
    show: bool | None = None,
) -> CrossFitBranch:
    """Fit two branches by identity; ``identities``: the person of every photograph of the set."""
    options = options or BranchOptions()
    part, names = split_identities(identities, seed=options.seed), np.asarray(identities)
    sigma, constant = (np.empty(tuple(examples.residual.shape)) for _ in range(2))
    fits = []
    for number in range(PARTS):
        fit = fit_branch(examples, identities, names[part != number].tolist(), config, options, show)
        rows = np.flatnonzero(part[examples.photo] == number)
        with torch.no_grad():
            sigma[rows] = torch.exp(0.5 * fit.branch(examples.features[rows]).double()).numpy()
        constant[rows] = _constant(examples, names, fit)
        fits.append(fit)
    return CrossFitBranch(part, fits, sigma, constant)


def _constant(examples: Examples, names: NDArray[np.str_], fit: FittedBranch) -> Floats:
    person = names[examples.photo]
    train, last = (examples.residual[np.isin(person, p)].double() for p in (fit.train_people, fit.calibration_people))
    log_var = train.square().mean(dim=0).log()
    factors = fit_factors(last, log_var.expand_as(last))
    scale = np.concatenate([np.full(part.stop - part.start, factors[name]) for name, part in GROUPS.items()])
    return np.asarray(torch.exp(0.5 * log_var).numpy() * scale, np.float64)


def interval_report(
    examples: Examples, identities: Sequence[str], fit: CrossFitBranch, seed: int = 0
) -> dict[str, Any]:
    """Coverage and interval scores of both groups (in percent of the crop's side), JSON-ready.

    "found" are the crops that the detector would report (probability above .7); "all" has the others too.
    """
    residual = examples.residual.double().numpy()
    found = examples.probability > FOUND
    person = np.asarray(identities)[examples.photo]
    report: dict[str, Any] = {}
    for name, part in GROUPS.items():
        off, sigma, constant = residual[:, part], fit.sigma[:, part], fit.constant[:, part]
        report[name] = {
            "coverage, found": coverages(off[found], sigma[found]),
            "coverage, found, 95% over identities": _coverage_interval(off[found], sigma[found], person[found], seed),
            "coverage, all": coverages(off, sigma),
            "coverage by kind": _by_kind(examples, found, off, sigma),
            "constant sigma: coverage, found": coverages(off[found], constant[found]),
            "constant sigma: coverage by kind": _by_kind(examples, found, off, constant),
            "interval score": scores(100.0 * off[found], 100.0 * sigma[found]),
            "constant sigma: interval score": scores(100.0 * off[found], 100.0 * constant[found]),
        }
    return report


def _by_kind(examples: Examples, found: NDArray[np.bool_], off: Floats, sigma: Floats) -> dict[str, dict[str, float]]:
    rows = {str(kind): found & (examples.kind == kind) for kind in np.unique(examples.kind)}
    return {kind: coverages(off[some], sigma[some]) for kind, some in rows.items() if some.any()}


def _coverage_interval(off: Floats, sigma: Floats, person: NDArray[np.str_], seed: int) -> dict[str, list[float]]:
    within = [(np.abs(off) <= z * sigma).mean(axis=1) for z in half_widths()]
    stacked = np.stack(within, axis=1)
    found = subject_bootstrap(lambda rows: stacked[rows].mean(axis=0), person, person, seed=seed)
    low, high = np.atleast_1d(found.low), np.atleast_1d(found.high)
    return {f"{level:g}": [float(low[i]), float(high[i])] for i, level in enumerate(LEVELS)}


def severity_report(examples: Examples, fit: CrossFitBranch) -> dict[str, Any]:
    """How sigma (root mean square over a group's coordinates, in percent of the crop's side) follows the degradation.

    Ranks correlate over degraded crops that the detector would report; bins of severity are equally wide.
    """
    found = examples.probability > FOUND
    degraded = found & np.isfinite(examples.severity)
    report: dict[str, Any] = {}
    for name, part in GROUPS.items():
        sigma = 100.0 * np.sqrt((fit.sigma[:, part] ** 2).mean(axis=1))
        error = 100.0 * np.sqrt((examples.residual[:, part].double().numpy() ** 2).mean(axis=1))
        kinds = {str(kind): degraded & (examples.kind == kind) for kind in np.unique(examples.kind[degraded])}
        by_kind = {kind: _rank(sigma[rows], examples.severity[rows]) for kind, rows in kinds.items()}
        report[name] = {
            "rank correlation with severity": _rank(sigma[degraded], examples.severity[degraded]),
            "rank correlation with severity by kind": by_kind,
            "rank correlation with the error": _rank(sigma[found], error[found]),
            "bins": _bins(examples, found, sigma, error),
        }
    return report


def _bins(examples: Examples, found: NDArray[np.bool_], sigma: Floats, error: Floats) -> list[dict[str, Any]]:
    number = np.minimum(np.nan_to_num(examples.severity, nan=-1.0) * BINS, BINS - 1)
    rows = []
    for k in range(-1, BINS):
        inside = found & ((number < 0) if k < 0 else (number >= 0) & (number.astype(int) == k))
        if inside.any():
            name = "clean" if k < 0 else f"{k / BINS:g}-{(k + 1) / BINS:g}"
            middle, rms = float(np.median(sigma[inside])), float(np.sqrt((error[inside] ** 2).mean()))
            rows.append({"severity": name, "crops": int(inside.sum()), "median sigma": middle, "rms error": rms})
    return rows


def _rank(first: Floats, second: Floats) -> float:
    return float(spearmanr(first, second).statistic)
