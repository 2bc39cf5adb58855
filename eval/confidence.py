"""Is the confidence true, are the promises kept? python eval/confidence.py LFW --out eval/results [--backbone SPEC].

Writes confidence-BACKBONE.json and .txt, and four pictures: -reliability (are the probabilities true, overall and by
quality), -refusal (what refusing a tenth of the pairs is worth), -guarantee (promises over 200 splits of the people),
-striking (pairs whose similarity misleads). Heads and calibrators are cross-fitted: nobody is judged by what has seen
them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from tabulate import tabulate

from faceunc.cli.options import whole
from faceunc.confidence import fmr_threshold
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.calibration import CalibrationReport, evaluate_calibration, quality_bins
from faceunc.evaluation.comparisons import CLEAN, KINDS, ONE, DrawOptions, draw_comparisons
from faceunc.evaluation.guarantees import SplitOptions, evaluate_guarantees
from faceunc.evaluation.refusal import evaluate_refusal
from faceunc.evaluation.setup import folder_bench
from faceunc.evaluation.striking import striking_examples
from faceunc.metrics.calibration import expected_calibration_error, reliability
from faceunc.plots.confidence import save_guarantees, save_refusal, save_reliability, save_striking
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.provenance import provenance
from faceunc.storage import atomic_write

MODELS = ("sigmoid", "isotonic", "monotone")
HEADS = ("per-dimension", "scalar")
SIMILARITY_FMR = 1e-2


def main() -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json")
    parser.add_argument("--posterior", default="bayes", help="how templates are fused (default: bayes)")
    parser.add_argument("--splits", type=whole(1), default=200)
    parser.add_argument("--seed", type=whole(0), default=0)
    args = parser.parse_args()
    pairs = read_pairs(args.data / "pairs.txt")
    bench = folder_bench(EvalOptions(args.data, args.backbone, variances=HEADS), pairs)
    name = bench.source.backbone.spec.name
    base = args.out / f"confidence-{name}"
    draw = DrawOptions(posterior=args.posterior, seed=args.seed)
    reports = {head: evaluate_calibration(bench, pairs, head, MODELS, draw) for head in HEADS}
    tables: dict[str, list[dict[str, Any]]] = {
        "calibration": [row for report in reports.values() for row in report.rows],
        "refusal": [
            row
            for head, report in reports.items()
            for row in evaluate_refusal(bench, pairs, head, report.pairs, report.log_odds)
        ],
        "guarantee": guarantee_rows(bench, args),
    }
    pictures(base, name, bench, pairs, reports[HEADS[0]], tables)
    source = provenance() | {"command": " ".join(["python eval/confidence.py", *sys.argv[1:]])}
    content = {**tables, "seed": args.seed, "provenance": source}
    atomic_write(base.with_suffix(".json"), (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())
    text = "\n\n".join(
        f"{what}, {name}\n{tabulate(rows, headers='keys', floatfmt='.4g')}" for what, rows in tables.items()
    )
    atomic_write(base.with_suffix(".txt"), (text + "\n").encode())
    print(text)


def guarantee_rows(bench: Bench, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Promises on cross-quality pairs (a) of single photographs, many of them, inside each half of the people."""
    part = bench.heads[HEADS[0]].part
    many = DrawOptions(impostor=200_000, per_person=20, templates=0.0, kinds=(ONE,), seed=args.seed)
    drawn = draw_comparisons(bench, HEADS[0], part, many)
    return evaluate_guarantees(drawn, SplitOptions(splits=args.splits, seed=args.seed))


def pictures(
    base: Path,
    name: str,
    bench: Bench,
    pairs: PairProtocol,
    report: CalibrationReport,
    tables: dict[str, list[dict[str, Any]]],
) -> None:
    """The four pictures, of the first head."""
    tested, p = report.pairs, np.asarray(expit(report.log_odds))
    poorer = tested.evidence.poorer

    def line(rows: np.ndarray[Any, Any]) -> Any:
        return expected_calibration_error(p[rows], tested.same[rows]), reliability(p[rows], tested.same[rows])

    overall = {"all": line(np.arange(len(p)))} | {kind: line(np.flatnonzero(tested.kind == kind)) for kind in KINDS}
    labels = ("best fifth", "second", "third", "fourth", "poorest fifth")
    binned = dict(zip(labels, quality_bins(p, tested.same, poorer), strict=True))
    groups = {"View 2, by kind": overall, "View 2, by quality (sigma of the poorer)": binned}
    path, head = base.with_name, f"{name}, {HEADS[0]} head"
    save_reliability(groups, path(f"{base.name}-reliability.png"), f"Calibrated on other people, {head}")
    refusals = [row for row in tables["refusal"] if row["head"] == HEADS[0]]
    save_refusal(refusals, path(f"{base.name}-refusal.png"), f"A tenth of the pairs refused, {head}")
    save_guarantees(
        tables["guarantee"], path(f"{base.name}-guarantee.png"), f"Promises over random halves of the people, {name}"
    )
    drawn = report.drawn
    plain = np.flatnonzero((drawn.kind == CLEAN) & ~drawn.same & drawn.single)
    found = fmr_threshold(drawn.evidence.similarity[plain], drawn.first[plain], drawn.second[plain], SIMILARITY_FMR)
    examples = striking_examples(bench, pairs, tested, report.log_odds, found.threshold)
    accepts = f"the plain system accepts from {found.threshold:.0%} (FMR 1e-2 on clean pairs)"
    if examples:
        save_striking(examples, path(f"{base.name}-striking.png"), f"Similarity and confidence, {name}; {accepts}")


if __name__ == "__main__":
    main()
