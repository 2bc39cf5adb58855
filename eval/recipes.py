"""Three uses of uncertainty, measured: python eval/recipes.py LFW --out eval/results [--backbone SPEC].

Writes recipes-gallery, recipes-review and recipes-strange (.json, .txt, .png; with -BACKBONE for one other than dlib):
which photographs of a person to keep, which comparisons a person should look at first, and which inputs are no faces.
What each recipe is, and how to use it, stands in eval/recipes.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from faceunc.backbones.registry import load_backbone
from faceunc.evaluation import recipes_gallery, recipes_photos, recipes_review, recipes_strange
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.recipes_table import over_seeds, with_deviation
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.plots.recipes import save_gallery, save_review, save_strange
from faceunc.protocols.lfw import read_pairs
from faceunc.provenance import provenance
from faceunc.storage import atomic_write

HEAD = "per-dimension"
RECIPES = ("gallery", "review", "strange")


def main() -> None:
    """Run what is asked for and write its files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(TEST_SEEDS), help="of the degradations")
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    args = parser.parse_args()
    options = EvalOptions(args.data, args.backbone, variances=(HEAD,))
    for recipe in args.recipes:
        {"gallery": gallery, "review": review, "strange": strange}[recipe](args, options)


def gallery(args: argparse.Namespace, options: EvalOptions) -> None:
    """recipes-gallery.*"""
    bench = folder_bench(options, read_pairs(args.data / "pairs.txt"))
    rows = over_seeds([recipes_gallery.gallery_rows(bench, HEAD, seed) for seed in args.seeds])
    size = recipes_gallery.describe(bench, args.seeds[0])
    name = bench.source.backbone.spec.name
    text = [f"which photographs to keep, {_about(name, args)}", _sentence(size), ""]
    for pooling in recipes_gallery.POOLINGS:
        for probes in dict.fromkeys(row["probes"] for row in rows):
            mine = [row for row in rows if (row["pooling"], row["probes"]) == (pooling, probes)]
            text += [f"{probes} probes; {pooling}: TAR at FAR 1e-2 / 1e-3 with k photographs kept", _kept(mine), ""]
    _write(args, "gallery", name, {"rows": rows, "size": size}, text)
    save_gallery(rows, _path(args, "gallery", name, ".png"), f"Which photographs to keep, {name}: TAR at FAR 1e-3")


def _kept(rows: Sequence[dict[str, Any]]) -> str:
    """A line a rule, a column a number kept."""
    table: dict[str, dict[str, str]] = {}
    for row in rows:
        figures = [with_deviation(row, f"TAR@FAR {target:g}") for target in recipes_gallery.TARGETS]
        table.setdefault(row["rule"], {})[str(row["keep"])] = " / ".join(figures)
    keeps = list(dict.fromkeys(str(row["keep"]) for row in rows))
    return tabulate([{"rule": rule, **{k: row.get(k, "") for k in keeps}} for rule, row in table.items()], "keys")


def review(args: argparse.Namespace, options: EvalOptions) -> None:
    """recipes-review.*"""
    pairs = read_pairs(args.data / "pairs.txt")
    bench = folder_bench(options, pairs)
    runs = [recipes_review.review_rows(bench, HEAD, pairs, seed) for seed in args.seeds]
    rows = over_seeds([run for run, _ in runs])
    curves = {name: np.mean([found[name] for _, found in runs], axis=0) for name in runs[0][1]}
    name = bench.source.backbone.spec.name
    text = [
        f"what a person should look at first, {_about(name, args)}",
        f"{len(pairs)} pairs of View 2; threshold and calibrator of one half of the folds from the other's people;",
        "errors found in the first 100, 200, 500, 1000 reviews; accuracy when what was found is corrected",
        "",
    ]
    for case, decision, threshold in dict.fromkeys((r["pairs"], r["decision"], r["threshold"]) for r in rows):
        mine = [r for r in rows if (r["pairs"], r["decision"], r["threshold"]) == (case, decision, threshold)]
        about = f"{mine[0]['errors']:.1f} errors, accuracy {mine[0]['accuracy']:.4f}"
        text += [f"{case}; decided by {decision}, threshold {threshold}: {about}", _reviewed(mine), ""]
    photos = over_seeds([recipes_photos.photo_rows(bench, HEAD, seed) for seed in args.seeds])
    about = f"{photos[0]['errors']:.1f} errors of cosine at FMR {recipes_photos.FMR:g}"
    text += [
        "which photographs to take again first: 300 people of each half, two degraded photographs each, all compared;",
        f"{about}; share of them that is left when the first k% are replaced by the undegraded ones",
        _left(photos),
    ]
    extra = {"rows": rows, "photographs": photos, "curves": {"reviews": recipes_review.GRID.tolist()} | _plain(curves)}
    _write(args, "review", name, extra, text)
    threshold = next(iter(recipes_review.THRESHOLDS))
    title = f"What to look at first, {name}, threshold {threshold}"
    save_review(curves, recipes_review.GRID, _path(args, "review", name, ".png"), title, threshold)


def _reviewed(rows: Sequence[dict[str, Any]]) -> str:
    names = [f"found in {count}" for count in recipes_review.REVIEWS]
    after = [f"accuracy after {count}" for count in recipes_review.REVIEWS if count >= 500]
    table = [
        {"order": row["order"]}
        | {name: with_deviation(row, name, 1) for name in names}
        | {name: with_deviation(row, name, 4) for name in after}
        for row in rows
    ]
    return tabulate(table, "keys", disable_numparse=True)


def _left(rows: Sequence[dict[str, Any]]) -> str:
    names = [f"left after {share:.0%}" for share in recipes_photos.SHARES]
    table = [{"order": row["order"], **{name: with_deviation(row, name) for name in names}} for row in rows]
    return tabulate(table, "keys", disable_numparse=True)


def strange(args: argparse.Namespace, options: EvalOptions) -> None:
    """recipes-strange.*"""
    pairs = read_pairs(args.data / "pairs.txt")
    runs = []
    for seed in args.seeds:
        made = recipes_strange.strange_bench(options, pairs, seed)
        runs.append(recipes_strange.strange_rows(made, seed)[0])
    rows = over_seeds(runs)
    name = made.bench.source.backbone.spec.name
    text = [
        f"inputs that are no faces, {_about(name, args)}",
        f"{len(made.test)} of each set; reference: one photograph each of {len(made.reference)} other people",
        "",
    ]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    text += ["share flagged; the limit keeps 95% of clean faces of other people", _by_set(rows, sets, "flagged"), ""]
    for base in (recipes_strange.CLEAN, recipes_strange.POOR):
        others = [kind for kind in sets if f"AUROC from {base}" in next(r for r in rows if r["set"] == kind)]
        for figure in ("AUROC", "AUPR", "FPR95"):
            key = f"{figure} from {base}"
            text += [f"{figure} against unseen {base}", _by_set(rows, others, key), ""]
    _write(args, "strange", name, {"rows": rows, "reference": len(made.reference), "test": len(made.test)}, text)
    path = _path(args, "strange", name, ".png")
    save_strange(rows, path, f"Inputs that are no faces, {name}", recipes_strange.POOR)


def _by_set(rows: Sequence[dict[str, Any]], sets: Sequence[str], key: str) -> str:
    """A line a measure, a column a set."""
    table = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        of = {row["set"]: row for row in rows if row["measure"] == measure}
        table.append({"measure": measure, **{kind: with_deviation(of[kind], key) for kind in sets}})
    return tabulate(table, "keys", disable_numparse=True)


def _about(name: str, args: argparse.Namespace) -> str:
    return f"{name}, {len(args.seeds)} seeds of degradation: mean ± standard deviation"


def _sentence(facts: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in facts.items())


def _plain(curves: dict[str, Any]) -> dict[str, list[float]]:
    return {name: [round(float(v), 2) for v in values] for name, values in curves.items()}


def _path(args: argparse.Namespace, recipe: str, name: str, suffix: str) -> Path:
    out: Path = args.out
    return out / f"recipes-{recipe}{'' if name == 'dlib' else f'-{name}'}{suffix}"


def _write(args: argparse.Namespace, recipe: str, name: str, content: dict[str, Any], text: Sequence[str]) -> None:
    """JSON with provenance, and the table, which is printed as well."""
    command = " ".join(["python eval/recipes.py", *sys.argv[1:]])
    facts = {"seeds": args.seeds, "backbone": load_backbone(args.backbone).spec.name, "head": HEAD}
    content = {**facts, **content, "provenance": provenance() | {"command": command}}
    lines = "\n".join(text)
    atomic_write(_path(args, recipe, name, ".json"), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    atomic_write(_path(args, recipe, name, ".txt"), (lines.rstrip() + "\n").encode())
    print(lines)


if __name__ == "__main__":
    main()
