"""Every method of the family on one table: same data, same cross-fitting, same budget, several seeds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from faceunc.backbones.registry import load_backbone
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.cross_quality import evaluate_cross_quality
from faceunc.evaluation.lfw import evaluate_lfw
from faceunc.evaluation.report import FEW, EvalReport
from faceunc.evaluation.templates import evaluate_templates
from faceunc.training.methods import named_recipe

FAMILY = (
    "pfe",
    "pfe:variance=scalar",
    "dul-cls",
    "dul-mls",
    "dul-reg",
    "dul-reg:mean=frozen",
    "probface",
    "vmf",
    "scaleface",
    "norm",
    "serfiq",
)
BASELINE = "frozen, cosine"
TRAINING = "training s"
_REPEATS = 15


@dataclass(frozen=True)
class MethodFigures:
    """One method, one score, on one backbone and one seed.

    Attributes:
        method: as :func:`named_recipe` reads it, or :data:`BASELINE`. score: "cosine", "mls" or "vmf".
        figures: name -> value; what does not apply is missing.
    """

    method: str
    score: str
    figures: dict[str, float]


def evaluate_methods(options: EvalOptions, methods: Sequence[str]) -> list[MethodFigures]:
    """Cross-fit every method with the seed of ``options.train`` and measure it on LFW, cross-quality and templates.

    Heads are kept in the cache, so a killed run goes on with the next one.
    """
    options = replace(options, methods=tuple(methods))
    lfw, quality = evaluate_lfw(options), evaluate_cross_quality(options)
    templates = evaluate_templates(options)
    rows = [MethodFigures(BASELINE, "cosine", _figures(lfw, quality, templates, "cosine", ""))]
    for method in methods:
        fit = quality.bench.heads[method]
        common = {
            "sigma ~ severity": float(np.mean([check["sigma"] for check in fit.collapse])),
            **({TRAINING: fit.seconds} if np.isfinite(fit.seconds) else {}),  # heads of older caches do not tell
        }
        for score in _scores(quality, method):
            row = _figures(lfw, quality, templates, f"{score} ({method})", method)
            rows.append(MethodFigures(method, score, {**row, **common}))
    return rows


def _scores(report: EvalReport, method: str) -> list[str]:
    """The scores of this method's own head; the cosine of a frozen mean is the baseline's."""
    return [score for name, head, score in report.bench.methods if head == method and name == f"{score} ({method})"]


def _figures(lfw: EvalReport, quality: EvalReport, templates: EvalReport, score: str, method: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in lfw.rows:
        if row["score"] == score and row["flip"]:
            found["LFW acc"] = row["accuracy"]
    for row in quality.rows:
        if row["score"] == score:
            part = f"({row['part']})"
            found |= {f"{part} acc": row["accuracy"], **{f"{part} {far}": _tar(row, far) for far in ("1e-2", "1e-3")}}
    for row in templates.rows:
        kind, _, posterior = row["score"].partition(" ")
        if kind != score.split()[0] or row["pooling"] != _pooling(kind, method):
            continue
        name = " ".join(["templates", *([posterior] if posterior else [])])
        found |= {f"{name} {far}": _tar(row, far) for far in ("1e-3", "1e-5")}
    return found


def _pooling(kind: str, method: str) -> str:
    if not method:
        return "mean"
    return f"mean ({method})" if kind == "cosine" else f"inverse variance ({method})"


def _tar(row: dict[str, Any], far: str) -> float:
    """TAR at a FAR, whether or not it rests on few impostors."""
    name = f"TAR@FAR {float(far):g}"
    return float(row[name] if name in row else row[name + FEW])


@torch.no_grad()
def inference_cost(options: EvalOptions, methods: Sequence[str]) -> dict[str, float]:
    """Time of head and pooling over that of the frozen backbone, 64 chips, medians after a warm-up."""
    backbone = load_backbone(options.backbone, options.precision)
    side = backbone.spec.input_size
    chips = np.random.default_rng(0).integers(0, 256, (64, side, side, 3), np.uint8)
    output = backbone(chips)
    plain = _median(lambda: backbone(chips))
    result = {}
    for name in methods:
        recipe = named_recipe(name, backbone)
        heads = [recipe.pooling_head().eval() for _ in range(recipe.ensemble.size if recipe.ensemble else 1)]

        def work(heads: list[Any] = heads) -> None:
            pooled = heads[0].pool(output.feature_map, output.norm)
            for head in heads:
                head.embed(pooled, output.mean)

        result[name] = _median(work) / plain
    return result


def _median(work: Any) -> float:
    work()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def over_seeds(runs: Sequence[Sequence[MethodFigures]]) -> list[dict[str, Any]]:
    """Mean and standard deviation (n - 1) of every figure, the least training time: a row a method and score."""
    rows = []
    for first in runs[0]:
        same = [one.figures for run in runs for one in run if (one.method, one.score) == (first.method, first.score)]
        row: dict[str, Any] = {"method": first.method, "score": first.score, "seeds": len(same)}
        for name in dict.fromkeys(name for figures in same for name in figures):  # an old cache tells no time
            values = [figures[name] for figures in same if name in figures]
            if name == TRAINING:  # a time: the least is the one that others on the machine disturbed least
                row[name] = float(np.min(values))
                continue
            row[name] = float(np.mean(values))
            row[f"std {name}"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        rows.append(row)
    return rows
