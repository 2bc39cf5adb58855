"""``faceunc eval``: LFW, cross-quality and templates, with heads cross-fitted by identity."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_precision, add_threads, apply_threads, share, whole

_COMMON = """DATA is a folder with one sub-folder a person (and LFW's pairs.txt in it).
Two heads are trained, each on the people of one half, and every person is embedded by the head that never met them.
Landmarks, features and heads are cached (FACEUNC_CACHE), so that a second run takes seconds."""
_WHAT = {
    "lfw": "LFW View 2: ten folds, with and without flip, cosine against MLS",
    "cross-quality": "the pairs of View 2 with (a) one side, (b) both sides degraded; mean over three seeds",
    "templates": "templates of 2 to 5 images of mixed quality: pooling and scores, TAR at FAR 1e-2 to 1e-5",
}


def add_parser(commands: Any) -> None:
    """Add the command and its evaluations."""
    parser = commands.add_parser("eval", help="evaluate on LFW-style data", description=_COMMON)
    kinds = parser.add_subparsers(dest="evaluation", metavar="EVALUATION", required=True)
    for name, text in _WHAT.items():
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.\n\n{_COMMON}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        kind.add_argument("data", type=Path, metavar="DATA", help="folder of identities, such as LFW's")
        kind.add_argument(
            "--json", type=Path, metavar="OUT", help="write OUT (JSON), and beside it a table and a ROC figure"
        )
        kind.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
        kind.add_argument("--head", help="your own head instead of cross-fitting; refused when it knows these people")
        kind.add_argument("--seed", type=whole(0), default=0, help="seed of split and training (default: 0)")
        kind.add_argument(
            "--steps", type=whole(1), default=1500, help="most training steps of each head (default: 1500)"
        )
        if name == "templates":
            kind.add_argument(
                "--clean-share",
                type=share,
                default=0.25,
                help="share of undegraded images in templates (default: 0.25)",
            )
        else:
            kind.add_argument("--pairs", type=Path, help="pair file in LFW's layout (default: DATA/pairs.txt)")
        add_precision(kind)
        add_threads(kind)
        kind.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write what was asked for."""
    apply_threads(args)
    from faceunc.evaluation.cross_quality import evaluate_cross_quality
    from faceunc.evaluation.lfw import evaluate_lfw
    from faceunc.evaluation.setup import EvalOptions
    from faceunc.evaluation.templates import evaluate_templates
    from faceunc.storage import check_writable
    from faceunc.training.loop import TrainOptions

    if args.json:
        check_writable(args.json)
    train = TrainOptions(seed=args.seed, steps=args.steps)
    options = EvalOptions(args.data, args.backbone, args.precision, head=args.head, train=train)
    if args.evaluation == "templates":
        report = evaluate_templates(options, args.clean_share)
    else:
        evaluate = {"lfw": evaluate_lfw, "cross-quality": evaluate_cross_quality}[args.evaluation]
        report = evaluate(options, args.pairs)
    print(report.table())
    if args.json:
        print("written: " + ", ".join(map(str, report.write(args.json))))
    return 0
