"""``faceunc sweep``: how a model breaks, over a grid of conditions; every condition is stored when it is done."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli import sweep_noise
from faceunc.cli.options import add_json, add_precision, add_threads, add_training, apply_threads, share, whole
from faceunc.sweep.degradation_kinds import DEFAULT_KINDS, DESCRIBED, SEVERITIES, SIDES

_SWEEP = """Change one thing step by step and see how a model breaks, and what uncertainty is worth then. Every finished
condition is stored: a sweep that is killed and started again goes on with the next one."""
_DEGRADATION = """Degrade the photographs of LFW's pairs by one kind after the other, at rising severity. Reported is
what becomes of genuine and impostor scores, of the errors at a threshold that was chosen on clean photographs, of
sigma, and of the share of pairs that would be refused: cosine, MLS and calibrated log-odds, with intervals over people.
Log-odds are read by calibrators that were fitted on other people (left out with --head).

DATA is a folder with one sub-folder a person (and LFW's pairs.txt in it). Two heads are trained, each on the people of
one half, and every person is embedded by the head that never met them. Default: PFE with one variance a photograph.
Every condition is stored when it is done: killed and started again, the sweep goes on with the next one.

--json OUT.json writes OUT.json, OUT.txt, OUT.png (all kinds) and OUT-pairs.png (scores of genuine and impostor pairs).

Where: https://vis-www.cs.umass.edu/lfw/ (deep-funneled; for research; the photographs belong to their makers)."""


def add_parser(commands: Any) -> None:
    """Add the command and its sweeps."""
    parser = commands.add_parser(
        "sweep", help="how a model breaks: poor photographs at test time, noise in training", description=_SWEEP
    )
    kinds = parser.add_subparsers(dest="sweep", metavar="SWEEP", required=True)
    _add_degradation(kinds)
    sweep_noise.add_parser(kinds)


def _add_degradation(kinds: Any) -> None:
    kind = kinds.add_parser(
        "degradation",
        help="kind x severity at test time: scores, errors, sigma and refusals",
        description=_DEGRADATION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kind.add_argument("data", type=Path, metavar="DATA", help="folder of identities, such as LFW's")
    add_json(kind)
    kind.add_argument(
        "--kinds",
        nargs="+",
        choices=tuple(DESCRIBED),
        default=list(DEFAULT_KINDS),
        metavar="KIND",
        help=f"of {', '.join(DESCRIBED)} (default: all but combined; light is brightness and contrast)",
    )
    kind.add_argument(
        "--severities",
        nargs="+",
        type=share,
        default=list(SEVERITIES),
        metavar="S",
        help=f"in [0, 1]; 0 is the clean photograph (default: {' '.join(f'{s:g}' for s in SEVERITIES)})",
    )
    kind.add_argument(
        "--side", choices=SIDES, default="both", help="photographs of a pair that are degraded (default: both)"
    )
    kind.add_argument("--show-kind", metavar="KIND", help="kind in OUT-pairs.png (default: blur, else the first)")
    kind.add_argument(
        "--degradation-seed", type=whole(0), default=101, metavar="N", help="of angles, places, noise (default: 101)"
    )
    kind.add_argument("--pairs", type=Path, help="pair file in LFW's layout (default: DATA/pairs.txt)")
    kind.add_argument("--work", type=Path, metavar="DIR", help="folder for finished conditions (default: the cache)")
    kind.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
    kind.add_argument("--head", help="your own head instead of cross-fitting; refused when it knows these people")
    add_training(kind)
    add_precision(kind)
    add_threads(kind)
    kind.set_defaults(run=run_degradation)


def run_degradation(args: argparse.Namespace) -> int:
    """Sweep, print the table, write what was asked for."""
    apply_threads(args)
    from faceunc.cli.eval_protocols import check_output, finish
    from faceunc.errors import InputError
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.sweep.degradation import DegradationOptions, sweep_degradation
    from faceunc.training.loop import TrainOptions

    check_output(args)
    if args.norm and (args.head or args.methods):
        raise InputError("--norm is for the PFE heads that are cross-fitted: leave out --head and --method")
    shown = args.show_kind or ("blur" if "blur" in args.kinds else args.kinds[0])
    if shown not in args.kinds:
        raise InputError(f"--show-kind must be one of --kinds ({', '.join(args.kinds)}), got {shown}")
    evaluation = EvalOptions(
        args.data,
        args.backbone,
        args.precision,
        variances=("scalar",),
        head=args.head,
        norm=args.norm,
        methods=tuple(args.methods),
        train=TrainOptions(seed=args.seed, steps=args.steps),
    )
    report = sweep_degradation(
        DegradationOptions(
            evaluation,
            tuple(args.kinds),
            tuple(args.severities),
            args.side,
            args.degradation_seed,
            args.pairs,
            args.work,
        )
    )
    report.show_kind = shown
    return finish(report, args)
