"""``faceunc eval cfp | bin | ytf | ijba | ijbb | ijbc | megaface``: protocols with images or features of their own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceunc.cli.options import add_json, add_precision, add_threads, add_training, apply_threads, whole

if TYPE_CHECKING:
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.evaluation.report import EvalReport

_COMMON = """The head comes from elsewhere: the shipped one (dlib's backbone only), your own (--head), or two that are
cross-fitted on a folder of people (--train-on), so that nobody named in both is embedded by a head that met them.
An image that is missing or in which no face is found fails to enrol: its comparisons stay, with the lowest score, and
are counted. Landmarks and features are cached (FACEUNC_CACHE); a run that is killed goes on where it stopped."""
_WHAT = {
    "cfp": (
        "CFP, celebrities frontal against profile (FP) or frontal (FF): 7,000 pairs, ten folds",
        "DATA is the folder that holds Protocol/ and Data/. Where: http://www.cfpw.io (for research).",
    ),
    "bin": (
        "insightface's .bin files: lfw, cfp_fp, agedb_30, calfw, cplfw ... aligned 112 x 112 pairs",
        "DATA is the file. It is a pickle, read by an unpickler that admits images and labels and nothing else.\n"
        "Where: in the training sets of https://github.com/deepinsight/insightface (terms of each data set).",
    ),
    "ytf": (
        "YouTube Faces: a template a video, 5,000 pairs, ten folds",
        "DATA is the folder of videos (frame_images_DB or aligned_images_DB).\n"
        "Where: https://www.cs.tau.ac.il/~wolf/ytfaces/ (on request; for research).",
    ),
    "ijba": (
        "IJB-A 1:1: up to ten splits, TAR at FAR 1e-2 and 1e-3, mean and deviation over splits",
        "DATA holds split1 ... split10 with verify_metadata_K.csv and verify_comparisons_K.csv.\n"
        "Where: NIST's face challenges (by licence).",
    ),
    "ijbb": (
        "IJB-B: 1:1 and 1:N of templates, every pooling and score",
        "DATA is in insightface's layout (meta/, loose_crop/) or holds NIST's csv files.\n"
        "Where: NIST's face challenges (by licence); the meta files in insightface's evaluation folder.",
    ),
    "ijbc": (
        "IJB-C, or what 'faceunc protocol make-ijb' made: 1:1 and 1:N of templates, every pooling and score",
        "DATA is in insightface's layout (meta/, loose_crop/) or holds NIST's csv files.\n"
        "Where: NIST's face challenges (by licence); the meta files in insightface's evaluation folder.",
    ),
}
_MEGAFACE = """MegaFace's figures from feature files: rank-1 among distractors, verification against them.

The convention has to be named: 'raw' takes every image, 'cleaned' leaves out those that the noise lists name. Figures
of the two are about different tasks (78.95 and about 98 for one model) and must never stand in one table.

Where: the distractors are no longer distributed; this is for whoever has them."""


def add_parsers(kinds: Any) -> None:
    """Add the evaluations."""
    for name, (text, home) in _WHAT.items():
        kind = kinds.add_parser(
            name,
            help=text,
            description=f"{text}.\n\n{home}\n\n{_COMMON}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        kind.add_argument("data", type=Path, metavar="DATA", help="see above")
        if name == "cfp":
            kind.add_argument("--kind", choices=("FP", "FF"), default="FP", help="second side (default: FP)")
        if name == "ytf":
            kind.add_argument("--splits", type=Path, help="splits.txt (default: in DATA or its parent)")
            kind.add_argument("--sample", type=whole(1), metavar="N", help="N frames of a video (default: all)")
        if name.startswith("ijb"):
            kind.add_argument("--images", type=Path, help="folder that image paths are relative to (default: DATA)")
        if name not in ("ytf", "ijba"):
            kind.add_argument("--flip", action="store_true", help="add the mirror image of every image")
        _add_model(kind)
        kind.set_defaults(run=run)
    _add_megaface(kinds)


def _add_model(kind: Any) -> None:
    add_json(kind)
    kind.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
    heads = kind.add_mutually_exclusive_group()
    heads.add_argument("--head", help="a shipped head or a path (default: dlib-pfe)")
    heads.add_argument("--train-on", type=Path, metavar="PEOPLE", help="cross-fit two heads on a folder of identities")
    add_training(kind)
    add_precision(kind)
    add_threads(kind)


def _add_megaface(kinds: Any) -> None:
    kind = kinds.add_parser(
        "megaface",
        help="MegaFace feature files: rank-1 and verification among distractors",
        description=_MEGAFACE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kind.add_argument("--probes", type=Path, required=True, help="JSON list of the probes: path and id")
    kind.add_argument("--distractors", type=Path, required=True, help="JSON list of the distractors: path")
    kind.add_argument("--probe-features", type=Path, required=True, metavar="DIR", help="root of the probes' features")
    kind.add_argument("--distractor-features", type=Path, required=True, metavar="DIR", help="root of the distractors'")
    kind.add_argument("--suffix", required=True, help="what stands behind an image's name, such as _model.bin")
    kind.add_argument("--convention", choices=("raw", "cleaned"), required=True, help="see above")
    kind.add_argument("--probe-noise", type=Path, help="noisy probes, one a line (for 'cleaned')")
    kind.add_argument("--distractor-noise", type=Path, help="noisy distractors, one a line (for 'cleaned')")
    add_json(kind)
    kind.set_defaults(run=run_megaface)


def run(args: argparse.Namespace) -> int:
    """Evaluate, print the table, write what was asked for."""
    apply_threads(args)
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.training.loop import TrainOptions

    check_output(args)
    options = EvalOptions(
        args.data,
        args.backbone,
        args.precision,
        head=args.head,
        train_on=args.train_on,
        norm=args.norm,
        methods=tuple(args.methods),
        train=TrainOptions(seed=args.seed, steps=args.steps),
    )
    return finish(_EVALUATIONS[args.evaluation](options, args), args)


def _cfp(options: EvalOptions, args: argparse.Namespace) -> EvalReport:
    from faceunc.evaluation.pairs import evaluate_cfp

    return evaluate_cfp(options, args.kind, args.flip)


def _bin(options: EvalOptions, args: argparse.Namespace) -> EvalReport:
    from faceunc.evaluation.pairs import evaluate_bin

    return evaluate_bin(options, args.flip)


def _ytf(options: EvalOptions, args: argparse.Namespace) -> EvalReport:
    from faceunc.evaluation.pairs import evaluate_ytf

    places = [args.splits] if args.splits else [args.data / "splits.txt", args.data.parent / "splits.txt"]
    return evaluate_ytf(options, next((path for path in places if path.is_file()), places[0]), args.sample)


def _ijba(options: EvalOptions, args: argparse.Namespace) -> EvalReport:
    from faceunc.evaluation.ijb import evaluate_ijba

    return evaluate_ijba(options, args.images)


def _ijb(options: EvalOptions, args: argparse.Namespace) -> EvalReport:
    from faceunc.evaluation.ijb import evaluate_ijb

    return evaluate_ijb(options, args.evaluation, args.images, args.flip)


_EVALUATIONS: dict[str, Callable[[EvalOptions, argparse.Namespace], EvalReport]] = {
    "cfp": _cfp,
    "bin": _bin,
    "ytf": _ytf,
    "ijba": _ijba,
    "ijbb": _ijb,
    "ijbc": _ijb,
}


def run_megaface(args: argparse.Namespace) -> int:
    """Evaluate feature files, print the table, write what was asked for."""
    import json
    from dataclasses import fields

    from faceunc.evaluation.megaface import MegaFaceFiles, evaluate_megaface, megaface_table
    from faceunc.plots.megaface import save_rank_one
    from faceunc.storage import atomic_path, atomic_write

    check_output(args)
    files = MegaFaceFiles(**{field.name: getattr(args, field.name) for field in fields(MegaFaceFiles)})
    result = evaluate_megaface(files)
    print(megaface_table(result))
    if args.json:
        atomic_write(args.json, (json.dumps(result, indent=1) + "\n").encode())
        atomic_write(args.json.with_suffix(".txt"), (megaface_table(result) + "\n").encode())
        with atomic_path(args.json.with_suffix(".png")) as temporary:
            save_rank_one(result, temporary)
        print(f"written: {args.json}, and beside it .txt and .png")
    return 0


def check_output(args: argparse.Namespace) -> None:
    """Find out before the work whether the result can be written."""
    if args.json:
        from faceunc.storage import check_writable

        check_writable(args.json)


def finish(report: EvalReport, args: argparse.Namespace) -> int:
    """Print the table, write what was asked for."""
    print(report.table())
    if args.json:
        print("written: " + ", ".join(map(str, report.write(args.json))))
    return 0
