"""Every method on one table: python eval/methods.py LFW --out eval/results [--backbone SPEC] [--seeds 0 1 2].

Trains each method with the same data, cross-fitting and budget, once a seed, and writes methods-BACKBONE.json, .txt and
.png (LFW, cross-quality, templates, correlation with severity, training time, cost) and epistemic-BACKBONE.*
(do epistemic and aleatoric uncertainty react to what they should?). Heads and the figures of each
seed are cached: a killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from faceunc.backbones.registry import load_backbone
from faceunc.cli.options import whole
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.epistemic import EpistemicReport, evaluate_epistemic
from faceunc.evaluation.methods import FAMILY, MethodFigures, evaluate_methods, inference_cost, over_seeds
from faceunc.plots.methods import save_epistemic, save_methods
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, cache_dir
from faceunc.training.loop import TrainOptions

_SHOWN = ("LFW acc", "(a) acc", "(a) 1e-2", "(a) 1e-3", "(b) acc", "(b) 1e-2", "(b) 1e-3")
_TEMPLATES = ("templates 1e-3", "templates bayes 1e-3", "templates harmonic 1e-3", "templates bayes 1e-5")


def main() -> None:
    """Run both evaluations and write their files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json")
    parser.add_argument("--seeds", type=whole(0), nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=list(FAMILY))
    parser.add_argument("--steps", type=whole(1), default=1500)
    parser.add_argument("--ensemble", default="dul-mls*3", help="whose epistemic uncertainty is looked at; '' for none")
    args = parser.parse_args()
    options = [
        EvalOptions(args.data, args.backbone, train=TrainOptions(steps=args.steps, seed=seed)) for seed in args.seeds
    ]
    runs = [_cached(args, one, args.methods, partial(evaluate_methods, one, args.methods)) for one in options]
    name = load_backbone(args.backbone).spec.name
    write_methods(args, options[0], [[MethodFigures(**row) for row in run] for run in runs], name)
    if args.ensemble:
        reports = [_cached(args, one, args.ensemble, partial(_epistemic, one, args.ensemble)) for one in options]
        write_epistemic(args, [EpistemicReport(**report[0]) for report in reports], name)


def _epistemic(options: EvalOptions, ensemble: str) -> list[EpistemicReport]:
    return [evaluate_epistemic(options, ensemble)]


def _cached(
    args: argparse.Namespace,
    options: EvalOptions,
    what: Any,
    measure: Callable[[], list[MethodFigures] | list[EpistemicReport]],
) -> list[dict[str, Any]]:
    """What was measured with one seed, from the cache when this very program wrote it."""
    depends = [provenance()["commit"], args.backbone, what, args.steps, options.train.seed, str(args.data)]
    key = blake2b(json.dumps(depends).encode(), digest_size=8).hexdigest()
    path = cache_dir() / "methods" / f"{key}.json"
    if not path.is_file():
        atomic_write(path, json.dumps([asdict(row) for row in measure()]).encode())
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return rows


def write_methods(args: argparse.Namespace, options: EvalOptions, runs: list[list[MethodFigures]], name: str) -> None:
    """methods-NAME.json, .txt, .png."""
    rows = over_seeds(runs)
    cost = inference_cost(options, args.methods)
    for row in rows:
        row["head / backbone"] = cost.get(row["method"], 0.0)
    columns = [*_SHOWN, *_TEMPLATES]
    table = [
        {"method": row["method"], "score": row["score"]}
        | {key: _with_deviation(row, key) for key in columns}
        | {key: row.get(key) for key in ("sigma ~ severity", "training s", "head / backbone")}
        for row in rows
    ]
    text = f"methods on {name}, {len(args.seeds)} seeds: mean ± standard deviation; TAR at FAR 1e-2, 1e-3, 1e-5\n"
    text += tabulate(table, headers="keys", floatfmt=".3f")
    text += "\ntemplates: inverse variance and MLS with that posterior; without one: mean pooling and cosine"
    save_methods(rows, args.out / f"methods-{name}.png", f"All methods, {name}, {len(args.seeds)} seeds")
    content = {"rows": rows, "runs": [[asdict(one) for one in run] for run in runs], "seeds": args.seeds}
    write(args.out / f"methods-{name}", content, text)


def _with_deviation(row: dict[str, Any], key: str) -> str:
    if key not in row:
        return ""
    deviation = f" ±{row[f'std {key}']:.3f}" if row["seeds"] > 1 else ""
    return f"{row[key]:.3f}{deviation}".replace("0.", ".")


def write_epistemic(args: argparse.Namespace, reports: list[EpistemicReport], name: str) -> None:
    """epistemic-NAME.json, .txt, .png."""
    first = reports[0]
    text = [
        f"what the uncertainties of {args.ensemble} react to, {name}, {len(reports)} seeds: mean ± standard deviation\n"
    ]
    for title, attribute in (
        ("median variance a dimension", "sets"),
        ("AUROC against clean faces", "detection"),
        ("clean unseen faces, by training people", "shares"),
    ):
        values = getattr(first, attribute)
        rows = [
            {"": key, **{m: _mean_and_deviation([getattr(r, attribute)[key][m] for r in reports]) for m in row}}
            for key, row in values.items()
        ]
        text += [title, tabulate(rows, headers="keys", floatfmt=".3g"), ""]
    save_epistemic(reports, args.out / f"epistemic-{name}.png", f"Aleatoric and epistemic, {args.ensemble}, {name}")
    write(args.out / f"epistemic-{name}", {"seeds": args.seeds, "runs": [asdict(r) for r in reports]}, "\n".join(text))


def _mean_and_deviation(values: list[float]) -> str:
    deviation = f" ±{np.std(values, ddof=1):.1g}" if len(values) > 1 else ""
    return f"{np.mean(values):.3g}{deviation}"


def write(base: Path, content: dict[str, Any], text: str) -> None:
    """JSON with provenance, and the table, which is printed as well."""
    content["provenance"] = provenance() | {"command": " ".join(["python eval/methods.py", *sys.argv[1:]])}
    atomic_write(base.with_suffix(".json"), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    atomic_write(base.with_suffix(".txt"), (text + "\n").encode())
    print(text)


if __name__ == "__main__":
    main()
