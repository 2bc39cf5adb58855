"""What the noise sweep shows: figures over seeds, the advantage over the deterministic head, and whether it grows."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from tabulate import tabulate

from faceunc.provenance import provenance
from faceunc.storage import atomic_write
from faceunc.sweep.noise import BASELINE, FROZEN, NoiseSweep, own_score
from faceunc.sweep.noise_views import SEVERITIES

TESTS = {
    "LFW accuracy": "LFW as it is: accuracy",
    "(a) TAR@FAR 0.01": "(a) clean against degraded: TAR@FAR 1e-2",
    "(b) accuracy": "(b) both degraded: accuracy",
    "templates TAR@FAR 0.001": "templates of mixed quality: TAR@FAR 1e-3",
}
_SHORT = dict(zip(TESTS, ("LFW acc", "(a) 1e-2", "(b) acc", "templates 1e-3"), strict=True))
_LEVEL = 0.95
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """How the advantage over the deterministic head changes with the share of noise.

    Attributes:
        first, last: mean advantage over seeds without noise, and at the greatest share.
        change: mean over seeds of the change over the whole range, on the straight line through all shares.
        low, high: ends of its 95% interval (Student's t over seeds; None with one seed).
        verdict: "grows" or "shrinks" where the interval leaves 0 out, else "not clear".
    """

    first: float
    last: float
    change: float
    low: float | None
    high: float | None
    verdict: str


def table_of(sweep: NoiseSweep, figure: str) -> dict[str, Floats]:
    """Method -> (seeds, shares): one figure by each method's own score."""
    options, found = sweep.options, {}
    cells = {(one.method, one.seed, one.share): one.figures for one in sweep.cells}
    for method in options.methods:
        score = own_score(method)
        rows = [[cells[method, seed, share][score][figure] for share in options.shares] for seed in options.seeds]
        found[method] = np.array(rows)
    return found


def advantages(sweep: NoiseSweep, figure: str) -> dict[str, Floats]:
    """Method -> (seeds, shares): the figure minus the deterministic head's of the same seed and share."""
    table = table_of(sweep, figure)
    return {method: rows - table[BASELINE] for method, rows in table.items() if method != BASELINE}


def growth(shares: Sequence[float], advantage: Floats) -> Growth:
    """See :class:`Growth`; ``advantage``: (seeds, shares), with one share nothing changes."""
    x = np.asarray(shares, np.float64) - np.mean(shares)
    spread = float((x**2).sum())
    change = advantage @ x / spread * (shares[-1] - shares[0]) if spread else np.zeros(len(advantage))
    mean, low, high, verdict = float(change.mean()), None, None, "not clear"
    if len(change) > 1:
        half = float(student.ppf(0.5 + _LEVEL / 2, len(change) - 1) * change.std(ddof=1) / math.sqrt(len(change)))
        low, high = mean - half, mean + half
        verdict = "grows" if low > 0 else "shrinks" if high < 0 else verdict
    first, last = advantage.mean(0)[[0, -1]]
    return Growth(float(first), float(last), mean, low, high, verdict)


def rows_over_seeds(sweep: NoiseSweep) -> list[dict[str, Any]]:
    """A row a method, score and share: mean and standard deviation (n - 1) of every figure."""
    found: dict[tuple[str, str, float], list[dict[str, float]]] = {}
    for one in sweep.cells:
        for score, figures in one.figures.items():
            found.setdefault((one.method, score, one.share), []).append({**figures, "sigma ~ severity": one.sigma})
    rows: list[dict[str, Any]] = []
    for (method, score, share), runs in sorted(found.items(), key=lambda item: sweep.options.methods.index(item[0][0])):
        row: dict[str, Any] = {"method": method, "score": score, "share": share, "seeds": len(runs)}
        for name in runs[0]:
            values = [run[name] for run in runs]
            row[name], row[f"std {name}"] = float(np.mean(values)), _deviation(values)
        rows.append(row)
    return rows


def _deviation(values: Sequence[float] | Floats) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def describe(sweep: NoiseSweep) -> str:
    """What was corrupted, and what the heads learned from: one line each."""
    low, high = SEVERITIES
    options, side = sweep.options, sweep.bench.source.backbone.spec.input_size
    poor = "standard deviation {} to {} {}, drawn for each photograph"
    strength = {
        "blur": "Gaussian blur, " + poor.format(0.5 + 6 * low, 0.5 + 6 * high, f"px of the aligned {side} px chip"),
        "noise": "Gaussian noise on every pixel, "
        + poor.format(round(5 + 75 * low), round(5 + 75 * high), "grey levels"),
        "labels": "wrong identity labels, exchanged among the people that a head is trained on",
    }[options.kind]
    learned = {
        "clean": "heads learn from the photographs as they are, without degraded views",
        "mix": "heads learn from the photographs and from three degraded views of each; the corruption comes first",
    }[options.views]
    return f"corrupted: a share of every person's photographs; {strength}\n{learned}; tests are never corrupted"


def seeds_text(sweep: NoiseSweep) -> str:
    """Such as "3 seeds: mean and standard deviation"."""
    count = len(sweep.options.seeds)
    return "1 seed" if count == 1 else f"{count} seeds: mean and standard deviation"


def report_text(sweep: NoiseSweep) -> str:
    """Both tables, for a terminal."""
    options, spec = sweep.options, sweep.bench.source.backbone.spec
    text = [
        f"noise in training ({options.kind}), {options.eval.data}, backbone {spec.name}, {seeds_text(sweep)}",
        describe(sweep),
        "",
        tabulate(_figure_rows(sweep), headers="keys", disable_numparse=True),
        "each method by its own score; templates by mls: inverse variance, posterior bayes; by cosine: their mean. "
        "softmax by mls: what it is worth to know how many photographs a template has.",
        f"\nadvantage over {BASELINE} (deterministic), mean over seeds; change: of a straight line over the range of "
        "shares, 95% interval over seeds (each for itself: of twenty such intervals one is wrong)",
        tabulate(_growth_rows(sweep), headers="keys", disable_numparse=True),
    ]
    return "\n".join(text)


def _figure_rows(sweep: NoiseSweep) -> list[dict[str, str]]:
    rows = [{"method": FROZEN, "score": "cosine", "noise": "", **{_SHORT[t]: _number(sweep.frozen[t]) for t in TESTS}}]
    for row in rows_over_seeds(sweep):
        if row["score"] != own_score(row["method"]) and row["method"] != BASELINE:
            continue
        known = {"method": row["method"], "score": row["score"], "noise": f"{row['share']:.0%}"}
        for test, short in (*_SHORT.items(), ("sigma ~ severity", "sigma ~ severity")):
            deviation = f" ±{_number(row[f'std {test}'])}" if row["seeds"] > 1 else ""
            known[short] = _number(row[test]) + deviation
        rows.append(known)
    return rows


def _growth_rows(sweep: NoiseSweep) -> list[dict[str, str]]:
    rows = []
    for test, short in _SHORT.items():
        for method, advantage in advantages(sweep, test).items():
            found = growth(sweep.options.shares, advantage)
            interval = "" if found.low is None else f" [{found.low:+.4f}, {found.high:+.4f}]"
            means = zip(sweep.options.shares, advantage.mean(0), strict=True)
            at = {f"at {share:.0%}": f"{mean:+.4f}" for share, mean in means}
            rows.append(
                {"test": short, "method": method, **at, "change": f"{found.change:+.4f}{interval}", "": found.verdict}
            )
    return rows


def _number(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1)


def report_dict(sweep: NoiseSweep) -> dict[str, Any]:
    """Everything, JSON-ready."""
    options, source = sweep.options, sweep.bench.source
    found = {test: advantages(sweep, test) for test in TESTS}
    return {
        "sweep": "noise",
        "kind": options.kind,
        "what": describe(sweep).splitlines(),
        "shares": options.shares,
        "seeds": options.seeds,
        "views": options.views,
        "scores": {method: own_score(method) for method in options.methods},
        "rows": rows_over_seeds(sweep),
        "frozen, cosine": sweep.frozen,
        f"advantage over {BASELINE}": {
            test: {
                method: {"mean": rows.mean(0).tolist(), "std": [_deviation(c) for c in rows.T]}
                for method, rows in table.items()
            }
            for test, table in found.items()
        },
        "growth": {
            test: {method: asdict(growth(options.shares, rows)) for method, rows in table.items()}
            for test, table in found.items()
        },
        "cells": [asdict(one) for one in sweep.cells],
        "backbone": {**asdict(source.backbone.spec), "precision": source.backbone.precision},
        "data": {"folder": options.eval.data.name, "sha256": source.photos.sha256, "photographs": len(source.photos)},
        "detector": source.detector_name,
        "training": {name: value for name, value in asdict(options.eval.train).items() if name != "seed"},
        "provenance": provenance(),
    }


def write_report(sweep: NoiseSweep, path: Path) -> list[Path]:
    """Write ``path`` (JSON), the tables (.txt) and the figure (.png) beside it. Raises OutputError."""
    from faceunc.plots.sweep_noise import save_noise

    atomic_write(path, (json.dumps(report_dict(sweep), indent=1, allow_nan=False) + "\n").encode())
    atomic_write(path.with_suffix(".txt"), (report_text(sweep) + "\n").encode())
    save_noise(sweep, path.with_suffix(".png"))
    return [path, path.with_suffix(".txt"), path.with_suffix(".png")]
