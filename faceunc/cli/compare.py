"""``faceunc compare``: two photographs, or several a side."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_model_options, inner_share, load_embedder, share

_DESCRIPTION = """Compare the faces of two photographs, in five lines. A and B may each be a folder or a quoted pattern
as well: then all photographs in it, of one person, are fused to one template.

similarity  cosine of the two embeddings: what the model says, and what it alone would decide
confidence  how far that answer is to be trusted for these photographs: the calibrated probability that it is right
decision    accept, reject or refuse, by thresholds that keep the FMR (and FNMR) that you name, with a stated confidence
limited by  the photograph with the larger sigma (uncertainty of the embedding on the unit sphere)
likely      what is wrong with it, by simple measurements, worded as likelihoods

Confidence and decision need a calibrator of the head: dlib-pfe and dlib-pfe-scalar have one, faceunc calibrate makes
one for a head of your own (HEAD.calibrator.safetensors, beside it). It was fitted on LFW, clean and degraded: with
other photographs its probabilities and promises are not known to hold."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="similarity, confidence, decision, and which photograph limits it and why",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="A", help="photograph, or folder or pattern of photographs of one person")
    parser.add_argument("second", metavar="B", help="the same for the other side")
    parser.add_argument("--json", action="store_true", help="print JSON instead of five lines")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="draw faces, sigmas and the calibrated position")
    group = parser.add_argument_group("decision")
    group.add_argument("--fmr", type=inner_share, default=1e-3, help="highest false match rate (default: 0.001)")
    group.add_argument("--fnmr", type=inner_share, help="highest false non-match rate (default: no promise)")
    group.add_argument(
        "--confidence", type=inner_share, default=0.95, help="with which the rates are promised (default: 0.95)"
    )
    group.add_argument(
        "--refuse-share",
        type=share,
        default=0.1,
        metavar="S",
        help="refuse what is poorer than all but this share of the reference comparisons, two thirds of which are "
        "degraded; 0: none (default: 0.1). faceunc report goes by clean faces and is stricter",
    )
    group.add_argument(
        "--prior",
        type=inner_share,
        default=0.5,
        help="share of comparisons that are of one person (default: 0.5); for the confidence, not for the decision",
    )
    group.add_argument("--calibrator", type=Path, metavar="FILE", help="default: the one beside the head")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from faceunc.images.photos import find_photos

    if args.figure is not None:
        _check_figure(args.figure)
    sides = [find_photos([side]) for side in (args.first, args.second)]
    embedder = load_embedder(args)
    from faceunc.compare import compare, to_dict
    from faceunc.compare_text import compare_text, compare_warnings

    calibrator = _calibrator(args)
    policy = _policy(args, calibrator)
    result = compare(embedder, sides[0], sides[1], calibrator, policy, args.prior)
    print(json.dumps(to_dict(result), indent=1) if args.json else compare_text(result))
    for line in compare_warnings(result) + embedder.head.warnings:
        print(f"warning: {line}", file=sys.stderr)
    if args.figure is not None:
        from faceunc.plots.compare import save_comparison

        save_comparison(result, args.figure, calibrator)
    return 0


def _check_figure(path: Path) -> None:
    from faceunc.errors import InputError
    from faceunc.storage import check_writable

    if path.suffix.lower() != ".png":
        raise InputError(f"--figure: expected a file *.png, got {path}")
    check_writable(path)


def _calibrator(args: argparse.Namespace) -> Any:
    """The calibrator that the user named, else the one beside the head, else None."""
    from faceunc.confidence.store import calibrator_path, load_calibrator
    from faceunc.heads.shipped import head_path

    path = args.calibrator or calibrator_path(head_path(args.head))
    return load_calibrator(path) if args.calibrator or path.is_file() else None


def _policy(args: argparse.Namespace, calibrator: Any) -> Any:
    from faceunc.confidence.decision import make_policy
    from faceunc.errors import InputError

    if calibrator is None:
        if args.fnmr is not None or (args.fmr, args.prior, args.refuse_share) != (1e-3, 0.5, 0.1):
            raise InputError("a decision needs a calibrator, and this head has none: faceunc calibrate makes one")
        return None
    try:
        return make_policy(calibrator.reference, args.fmr, args.fnmr, args.confidence, args.refuse_share)
    except ValueError as error:
        raise InputError(str(error)) from None
