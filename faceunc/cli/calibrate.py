"""``faceunc calibrate``: a calibrator for a head."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_precision, add_threads, apply_threads, whole

_DESCRIPTION = """Fit what turns a comparison into a probability, with the reference comparisons that decisions rest on.

DATA is a folder with one sub-folder a person, whom the head must not know: a hundred people with two photographs or
more at least, a thousand are better. Photographs are used as they are and degraded (the standard mix), singly and as
templates. The result carries the hashes of backbone, alignment and head, and refuses the embeddings of others.

With --cross-fit DATA may be what the head was trained on: two heads of the recipe METHOD are trained, each on half of
the people, and score the other half in its place."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "calibrate",
        help="a calibrator for a head of your own: probability, confidence, decisions",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of identities that the head does not know")
    parser.add_argument("--head", required=True, metavar="HEAD", help="a path *.safetensors, or a shipped head")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: HEAD.calibrator.safetensors beside it")
    parser.add_argument("--cross-fit", metavar="METHOD", help="see above; as eval --method (pfe:variance=scalar)")
    parser.add_argument("--backbone", help="name or ONNX spec *.json (default: the one of the head)")
    parser.add_argument(
        "--kind", choices=("monotone", "isotonic", "sigmoid"), default="monotone", help="default: monotone"
    )
    parser.add_argument(
        "--posterior", choices=("bayes", "min", "harmonic"), default="bayes", help="of templates (default: bayes)"
    )
    parser.add_argument(
        "--impostors", type=whole(100), default=60_000, help="comparisons of two people (default: 60000)"
    )
    parser.add_argument("--seed", type=whole(0), default=0)
    add_precision(parser)
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Calibrate, write, say what was fitted."""
    apply_threads(args)
    from faceunc.confidence.store import calibrator_path, save_calibrator
    from faceunc.errors import InputError
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.evaluation.calibrate import calibrate_head
    from faceunc.evaluation.comparisons import DrawOptions
    from faceunc.heads.shipped import head_path, shipped_names
    from faceunc.heads.store import load_head
    from faceunc.storage import check_writable

    path = head_path(args.head)
    head = load_head(path)
    if args.out is None and str(args.head) in shipped_names():
        raise InputError(f"--out: {args.head} ships with a calibrator; name a file for yours")
    out = args.out or calibrator_path(path)
    if out.suffix != ".safetensors":
        raise InputError(f"--out: expected a file *.safetensors, got {out}")
    check_writable(out)
    options = EvalOptions(
        args.data,
        args.backbone or head.backbone,
        args.precision,
        head=None if args.cross_fit else path,
        methods=(args.cross_fit,) if args.cross_fit else (),
    )
    draw = DrawOptions(impostor=args.impostors, posterior=args.posterior, seed=args.seed)
    try:
        stored = calibrate_head(head, options, draw, args.kind)
    except ValueError as error:
        raise InputError(f"{args.data}: cannot calibrate on these people: {error}") from None
    save_calibrator(out, stored.calibrator, stored.reference)
    card = stored.calibrator.card
    counts = f"{card['genuine']} comparisons of one person, {card['impostor']} of two, {card['people']} people"
    print(f"{args.kind} calibrator of {head.name}: {counts} -> {out}")
    return 0
