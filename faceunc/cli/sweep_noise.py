"""``faceunc sweep noise``: does the advantage of uncertainty grow with the share of noise in training?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_json, add_precision, add_threads, apply_threads, share, whole

_DESCRIPTION = """Corrupt a share of the photographs of every training person, train each method on them, and test it on
photographs that nobody corrupted: LFW View 2, cross-quality (a) and (b), templates, as faceunc eval does. Which
photographs are corrupted follows from the seed and their names; those of a smaller share are among those of a greater.
Compared is with a deterministic head (softmax): does the advantage of the uncertain ones grow with the noise?

  --kind blur    Gaussian blur of 2 to 6.5 px (of dlib's 150 px chip), drawn for each photograph
  --kind noise   Gaussian noise of 24 to 80 grey levels on every pixel, drawn likewise
  --kind labels  the name of somebody else among the people that a head is trained on

DATA is a folder with one sub-folder a person and LFW's pairs.txt in it. Heads are cross-fitted: every person is tested
with a head that never met them. Every cell (method, share, seed) is stored when it is done: a killed sweep goes on, and
--seeds 0 writes what is there of the first seed. On LFW 75 cells take an hour or two on two cores."""
_METHODS = ("softmax", "pfe:variance=scalar", "dul-cls", "dul-reg", "dul-mls")  # METHOD_NAMES; a test compares


def add_parser(kinds: Any) -> None:
    """Add the sweep to the command ``sweep``."""
    kind = kinds.add_parser(
        "noise",
        help="share of poor photographs or wrong labels in training: each method against a deterministic head",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kind.add_argument("data", type=Path, metavar="DATA", help="folder of identities, such as LFW's")
    add_json(kind)
    kind.add_argument(
        "--kind", choices=("blur", "noise", "labels"), default="blur", help="what is corrupted (default: blur)"
    )
    kind.add_argument(
        "--shares",
        type=share,
        nargs="+",
        default=[0.0, 0.1, 0.2, 0.3, 0.4],
        metavar="SHARE",
        help="of corrupted photographs, from 0 on (default: 0 0.1 0.2 0.3 0.4)",
    )
    kind.add_argument(
        "--seeds", type=whole(0), nargs="+", default=[0, 1, 2], help="of training and corruption (default: 0 1 2)"
    )
    kind.add_argument(
        "--method",
        action="append",
        metavar="METHOD",
        dest="methods",
        help=f"method to train, may be repeated; softmax is always there (default: {', '.join(_METHODS)})",
    )
    kind.add_argument(
        "--views",
        choices=("clean", "mix"),
        default="clean",
        help="clean: heads learn from the photographs as they are; mix: from degraded views of them as well, as heads "
        "usually do here (default: clean)",
    )
    kind.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
    kind.add_argument("--steps", type=whole(1), default=1500, help="most training steps of each head (default: 1500)")
    kind.add_argument("--work", type=Path, metavar="FOLDER", help="where finished cells are kept (default: the cache)")
    add_precision(kind)
    add_threads(kind)
    kind.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Sweep, print the tables, write what was asked for."""
    apply_threads(args)
    from faceunc.evaluation.bench import EvalOptions
    from faceunc.storage import check_writable
    from faceunc.sweep.noise import BASELINE, NoiseOptions, sweep_noise
    from faceunc.sweep.noise_report import report_text, write_report
    from faceunc.training.loop import TrainOptions

    if args.json:
        check_writable(args.json)
    methods = tuple(dict.fromkeys([BASELINE, *(args.methods or _METHODS)]))
    options = NoiseOptions(
        EvalOptions(args.data, args.backbone, args.precision, train=TrainOptions(steps=args.steps)),
        args.kind,
        tuple(args.shares),
        tuple(dict.fromkeys(args.seeds)),
        methods,
        args.views,
        args.work,
    )
    sweep = sweep_noise(options)
    print(report_text(sweep))
    if args.json:
        print("written: " + ", ".join(map(str, write_report(sweep, args.json))))
    return 0
