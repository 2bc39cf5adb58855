"""``faceunc train detector-sigma``: how uncertain MTCNN's boxes and landmarks are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_threads, apply_threads, positive, whole

_DESCRIPTION = """Train the variance branch of MTCNN's last stage on a folder with one sub-folder a person. No labels.

The detector stays frozen. Its detection on each clean photograph is the target for moved, scaled and degraded crops of
it; the branch learns how far the detector is off (heteroscedastic smooth L1). Two shares of the people are held out:
one to stop training, one to calibrate sigma.

OUT.safetensors is written with a card (OUT.json: data, people (hashed), settings, history, coverage); use it by
faceunc embed --detector-sigma OUT.safetensors."""


def add_parser(methods: Any) -> None:
    """Add it to the methods of ``faceunc train``."""
    parser = methods.add_parser(
        "detector-sigma",
        help="uncertainty of MTCNN's boxes and landmarks, without labels",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of identities")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="OUT", help="file *.safetensors to write")
    parser.add_argument(
        "--per-person", type=whole(1), default=2, metavar="N", help="most photographs of one person (default: 2)"
    )
    parser.add_argument("--versions", type=whole(1), default=5, metavar="K", help="crops a photograph (default: 5)")
    parser.add_argument(
        "--delta",
        type=positive,
        default=5.0,
        help="where the loss turns from squared to absolute, in percent of the crop's side (default: 5)",
    )
    parser.add_argument("--hidden", type=whole(1), default=64, help="width of the hidden layer (default: 64)")
    parser.add_argument("--steps", type=whole(1), default=3000, help="most optimiser steps (default: 3000)")
    parser.add_argument("--lr", type=positive, default=1e-3, help="learning rate of AdamW (default: 0.001)")
    parser.add_argument("--seed", type=whole(0), default=0)
    parser.add_argument("--select", choices=("largest", "central"), default="central", help="which face of several")
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, write, and print how well the intervals cover."""
    apply_threads(args)
    from faceunc.detection.branch import BranchConfig
    from faceunc.detection.train import DetectorSigmaRequest, train_detector_sigma
    from faceunc.detection.training import BranchOptions
    from faceunc.detection.versions import VersionOptions
    from faceunc.errors import InputError

    try:
        config = BranchConfig(hidden=args.hidden)
    except ValueError as error:
        raise InputError(str(error)) from None
    request = DetectorSigmaRequest(
        data=args.data,
        out=args.out,
        select=args.select,
        per_person=args.per_person,
        config=config,
        versions=VersionOptions(versions=args.versions, seed=args.seed),
        options=BranchOptions(delta=args.delta, steps=args.steps, lr=args.lr, seed=args.seed),
    )
    print(train_detector_sigma(request).text())
    return 0
