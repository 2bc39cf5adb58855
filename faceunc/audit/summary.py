"""The figures of an audit, JSON-ready: distributions, correlations, poor photographs, people, failures."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.audit.collect import Audit, Degraded
from faceunc.audit.limits import Limit
from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.images.diagnose import diagnose
from faceunc.training.collapse import rank_correlation

FEWEST = 10  # photographs below which no correlation is told
SHARES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
# What sigma is held against: words for axes and tables.
MEASURES = {
    "sharpness": "sharpness (variance of the Laplacian)",
    "blur": "perceptual blur (0 to 1)",
    "face_size": "face size (pixels)",
    "norm": "length of the raw embedding",
    "turned": "nose off the middle (|yaw|)",
    "brightness": "mean brightness (0 to 255)",
    "contrast": "contrast",
    "noise": "noise (grey levels)",
    "score": "detector's doubt (1 - score)",
}
LOGARITHMIC = ("sharpness", "noise", "score")  # axes on which these spread evenly

Floats = NDArray[np.float64]


def measured(audit: Audit) -> dict[str, Floats]:
    """Every measure of :data:`MEASURES` for all photographs (N,); NaN where there is none."""
    facts, detail = audit.quality, [quality.measures for quality in audit.quality]
    own = {name: [getattr(row, name) for row in facts] for name in ("sharpness", "face_size", "norm")}
    more = {name: [getattr(row, name) for row in detail] for name in ("blur", "brightness", "contrast", "noise")}
    doubt = [max(1.0 - row.score, 1e-7) if row.score == row.score else row.score for row in facts]
    values = {**own, **more, "turned": [abs(row.yaw) for row in detail], "score": doubt}
    return {name: np.asarray(values[name], np.float64) for name in MEASURES}


def summarise(audit: Audit, limit: Limit) -> dict[str, Any]:
    """All figures of the report. ``limit``: from which sigma on a photograph would be refused."""
    sigma = audit.embeddings.sigma.astype(np.float64)
    figures = {
        "photographs": len(sigma) + len(audit.failures),
        "embedded": len(sigma),
        "failures": dict(Counter(failure.kind for failure in audit.failures)),
        "failed": [vars(failure) for failure in audit.failures],
        "refusal": {"sigma": limit.sigma, "origin": limit.origin, "beyond": int((sigma > limit.sigma).sum())},
        "groups": _groups(audit),
        "dimensions": _dimensions(audit.embeddings),
        "correlations": _correlations(sigma, measured(audit)),
        "poor": _poor(audit, sigma, limit.sigma),
        "flaws": _flaws(audit),
        "people": _people(audit, sigma, limit.sigma),
        "head": {key: audit.embeddings.meta.get(key, "") for key in ("backbone", "head", "head_sha256", "method")},
    }
    return figures if audit.degraded is None else {**figures, "degraded": _degraded(audit.degraded)}


def _groups(audit: Audit) -> dict[str, Any]:
    """Distribution of log_var (harmonic mean over dimensions) in each group, and in all of them."""
    log_var, group = harmonic_log_var(audit.embeddings.log_var), np.array(audit.group, object)
    parts = {name: log_var[group == name] for name in dict.fromkeys(audit.group)}
    if len(parts) > 1:
        parts = {"all": log_var, **parts}
    return {
        name: {
            "photographs": len(values),
            "mean log_var": float(values.mean()),
            **{f"{share:.0%}": float(value) for share, value in zip(SHARES, np.quantile(values, SHARES), strict=True)},
        }
        for name, values in parts.items()
    }


def _dimensions(embeddings: Embeddings) -> dict[str, Any] | None:
    """How log_var differs between dimensions; None for heads with one variance a photograph.

    "mean of each": quantiles over dimensions of the mean over photographs. "within a photograph": median over
    photographs of the standard deviation over dimensions. "between photographs": standard deviation of the harmonic
    mean.
    """
    values = embeddings.log_var.astype(np.float64)
    if values.shape[1] == 1:
        return None
    of_each = np.quantile(values.mean(axis=0), SHARES)
    return {
        "dimensions": values.shape[1],
        "mean of each": {f"{share:.0%}": float(value) for share, value in zip(SHARES, of_each, strict=True)},
        "within a photograph": float(np.median(values.std(axis=1))),
        "between photographs": float(harmonic_log_var(values).std()),
    }


def _correlations(sigma: Floats, measures: dict[str, Floats]) -> dict[str, Any]:
    """Spearman of sigma with each measure over the photographs that have it; None for fewer than ten."""
    found = {}
    for name, values in measures.items():
        count = int(np.isfinite(values).sum())
        found[name] = {
            "photographs": count,
            "rank correlation": rank_correlation(sigma, values) if count >= FEWEST else None,
        }
    return found


def _poor(audit: Audit, sigma: Floats, limit: float) -> list[dict[str, Any]]:
    """Photographs beyond the limit, the poorest first, with what is probably wrong."""
    rows = [int(row) for row in np.argsort(-sigma, kind="stable") if sigma[row] > limit]
    return [
        {
            "photo": audit.photos[row],
            "sigma": float(sigma[row]),
            "flaws": [
                {"kind": flaw.kind, "likelihood": flaw.likelihood, "value": flaw.value, "sentence": flaw.sentence}
                for flaw in diagnose(audit.quality[row].measures)
            ],
        }
        for row in rows
    ]


def _flaws(audit: Audit) -> dict[str, int]:
    """In how many photographs each flaw is named, the most frequent first, and in how many none."""
    named = [[flaw.kind for flaw in diagnose(quality.measures)] for quality in audit.quality]
    counts = Counter(kind for kinds in named for kind in kinds)
    return {**dict(counts.most_common()), "nothing conspicuous": sum(not kinds for kinds in named)}


def _people(audit: Audit, sigma: Floats, limit: float) -> list[dict[str, Any]]:
    """A row a person: photographs, how many of them are not usable or beyond the limit, and the share of both.

    The largest share first. "refused": not one photograph is usable and within the limit.
    """
    by_person: dict[str, list[float]] = defaultdict(list)
    for person, value in zip(audit.person, sigma, strict=True):
        by_person[person].append(float(value))
    unusable = Counter(audit.failed_person)
    rows = [_person(name, by_person[name], unusable[name], limit) for name in {*by_person, *unusable} if name]
    return sorted(rows, key=lambda row: (-row["share"], -row["photographs"], row["person"]))


def _person(name: str, sigma: list[float], unusable: int, limit: float) -> dict[str, Any]:
    beyond, count = sum(value > limit for value in sigma), len(sigma) + unusable
    return {
        "person": name,
        "photographs": count,
        "unusable": unusable,
        "beyond": beyond,
        "share": (beyond + unusable) / count,
        "median sigma": float(np.median(sigma)) if sigma else None,
        "refused": beyond + unusable == count,
    }


def _degraded(degraded: Degraded) -> dict[str, Any]:
    """Rank correlation of sigma with severity, over all kinds and kind by kind; None for fewer than ten."""
    kind = np.array([how.kind for how in degraded.how], object)
    severity = np.array([how.severity for how in degraded.how])
    groups = {"all kinds": np.ones(len(kind), bool), **{name: kind == name for name in sorted(set(kind.tolist()))}}
    return {
        name: {
            "photographs": int(rows.sum()),
            "rank correlation": rank_correlation(degraded.sigma[rows], severity[rows])
            if rows.sum() >= FEWEST
            else None,
        }
        for name, rows in groups.items()
    }
