"""``faceunc eval``: every protocol, cosine against the uncertain scores."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli import eval_protocols
from faceunc.cli.options import add_json, add_precision, add_threads, add_training, apply_threads, share

_COMMON = """DATA is a folder with one sub-folder a person (and LFW's pairs.txt in it).
Two heads are trained, each on the people of one half, and every person is embedded by the head that never met them.
Landmarks, features and heads are cached (FACEUNC_CACHE), so that a second run takes seconds."""
_HOME = (
    "Where: https://vis-www.cs.umass.edu/lfw/ (deep-funneled; for research; the photographs belong to their makers)."
)
_WHAT = {
    "lfw": (
        "LFW View 2: ten folds, with and without flip, cosine against MLS (--view 1: development)",
        _HOME,
    ),
    "xqlfw": (
        "cross-quality LFW, the published pairs with a large gap in quality: as lfw, its own images and pairs",
        "DATA is the folder of XQLFW's images, with xqlfw_pairs.txt in it.\n"
        "Where: https://martlgap.github.io/xqlfw/ (terms of LFW).",
    ),
    "cross-quality": (
        "the pairs of View 2 with (a) one side, (b) both sides degraded; mean over three seeds",
        _HOME,
    ),
    "templates": (
        "templates of 2 to 5 images of mixed quality: pooling and scores, TAR at FAR 1e-2 to 1e-5",
        _HOME,
    ),
    "rejection": (
        "error against discard on the cross-quality pairs: sigma against norm, detector score, sharpness, face size",
        _HOME,
    ),
}


def add_parser(commands: Any) -> None:
    """Add the command and its evaluations."""
    parser = commands.add_parser(
        "eval",
        help="evaluate on LFW, XQLFW, CFP, YTF, .bin, IJB, MegaFace",
        description="Evaluate on a protocol. Each says with --help what DATA is, where to get it, its terms.",
    )
    kinds = parser.add_subparsers(dest="evaluation", metavar="EVALUATION", required=True)
    for name, (text, home) in _WHAT.items():
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.\n\n{_COMMON}\n\n{home}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        kind.add_argument("data", type=Path, metavar="DATA", help="folder of identities, such as LFW's")
        add_json(kind)
        kind.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
        kind.add_argument("--head", help="your own head instead of cross-fitting; refused when it knows these people")
        add_training(kind)
        if name == "templates":
            kind.add_argument(
                "--clean-share",
                type=share,
                default=0.25,
                help="share of undegraded images in templates (default: 0.25)",
            )
        else:
            default = "xqlfw_pairs.txt" if name == "xqlfw" else "pairs.txt"
            kind.add_argument("--pairs", type=Path, help=f"pair file in LFW's layout (default: DATA/{default})")
        if name == "lfw":
            kind.add_argument("--view", type=int, choices=(1, 2), default=2, help="LFW's view (default: 2)")
        add_precision(kind)
        add_threads(kind)
        kind.set_defaults(run=run)
    eval_protocols.add_parsers(kinds)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write what was asked for."""
    apply_threads(args)
    from faceunc.errors import InputError
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.evaluation.cross_quality import evaluate_cross_quality
    from faceunc.evaluation.lfw import evaluate_lfw, evaluate_view1
    from faceunc.evaluation.rejection import evaluate_rejection
    from faceunc.evaluation.templates import evaluate_templates
    from faceunc.training.loop import TrainOptions

    eval_protocols.check_output(args)
    train = TrainOptions(seed=args.seed, steps=args.steps)
    if args.norm and args.head:
        raise InputError("--norm is for heads that are cross-fitted: leave out --head")
    if args.methods and (args.head or args.norm):
        raise InputError("--method cross-fits heads of its own: leave out --head and --norm")
    options = EvalOptions(
        args.data,
        args.backbone,
        args.precision,
        head=args.head,
        norm=args.norm,
        methods=tuple(args.methods),
        train=train,
    )
    if args.evaluation == "templates":
        return eval_protocols.finish(evaluate_templates(options, args.clean_share), args)
    if args.evaluation == "lfw" and args.view == 1:
        if args.pairs:
            raise InputError("--pairs is for View 2: View 1 has pairsDevTrain.txt and pairsDevTest.txt in DATA")
        return eval_protocols.finish(evaluate_view1(options), args)
    if args.evaluation == "xqlfw":
        return eval_protocols.finish(evaluate_lfw(options, args.pairs or args.data / "xqlfw_pairs.txt", "xqlfw"), args)
    evaluations = {"lfw": evaluate_lfw, "cross-quality": evaluate_cross_quality, "rejection": evaluate_rejection}
    return eval_protocols.finish(evaluations[args.evaluation](options, args.pairs), args)
