"""``faceunc train``: a variance head on a folder of identities."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_precision, add_threads, apply_threads, positive, share, whole

_DESCRIPTION = """Train a PFE head on a folder with one sub-folder a person (people with at least two photographs
count).

The backbone stays frozen. Every photograph is seen clean and in three degraded views; the loss is the negative mutual
likelihood of genuine pairs (it is normally NEGATIVE). A share of the people is held out: training stops when their
likelihood no longer improves, and on them it is checked afterwards that sigma carries something. Landmarks and features
are cached; --checkpoint lets a killed training go on.

HEAD.safetensors is written with a card (HEAD.json): data, people (hashed), seed, history, check."""


def add_parser(commands: Any) -> None:
    """Add the command and its methods."""
    parser = commands.add_parser("train", help="train a variance head")
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)
    pfe = methods.add_parser(
        "pfe",
        help="probabilistic face embeddings (Shi & Jain, 2019)",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    pfe.add_argument("data", type=Path, metavar="DATA", help="folder of identities")
    pfe.add_argument("-o", "--out", required=True, type=Path, metavar="HEAD", help="file *.safetensors to write")
    pfe.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
    pfe.add_argument(
        "--architecture", choices=("pooled", "paper"), default="pooled", help="pooled: small, for little data"
    )
    pfe.add_argument("--variance", choices=("per-dimension", "scalar"), default="per-dimension")
    pfe.add_argument("--norm", action="store_true", help="the embedding's norm is one more input")
    pfe.add_argument("--steps", type=whole(1), default=1500, help="most optimiser steps (default: 1500)")
    pfe.add_argument("--people", type=whole(2), default=64, help="people a batch (default: 64)")
    pfe.add_argument("--images", type=whole(2), default=4, help="photographs of each a batch (default: 4)")
    pfe.add_argument("--lr", type=positive, default=1e-3, help="learning rate of AdamW (default: 0.001)")
    pfe.add_argument("--validation", type=share, default=0.15, help="share of people held out (default: 0.15)")
    pfe.add_argument("--seed", type=whole(0), default=0)
    pfe.add_argument("--checkpoint", type=Path, help="file to store the state in, and to go on from")
    pfe.add_argument("--select", choices=("largest", "central"), default="central", help="which face of several")
    add_precision(pfe)
    add_threads(pfe)
    pfe.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, write, and print the collapse check."""
    apply_threads(args)
    from faceunc.training.loop import TrainOptions
    from faceunc.training.pfe import PFERequest, train_pfe

    options = TrainOptions(
        steps=args.steps, people=args.people, images=args.images, lr=args.lr, validation=args.validation, seed=args.seed
    )
    request = PFERequest(
        args.data,
        args.out,
        args.backbone,
        args.precision,
        args.select,
        args.architecture,
        args.variance,
        args.checkpoint,
        norm=args.norm,
    )
    print(train_pfe(request, options).text())
    return 0
