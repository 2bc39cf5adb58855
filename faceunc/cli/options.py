"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from faceunc.engines.names import ENGINES


def whole(least: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``least`` on."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number of at least {least}, got {text}")
        return value

    parse.__name__ = "whole number"
    return parse


def share(text: str) -> float:
    """A number in [0, 1]."""
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"expected a number in [0, 1], got {text}")
    return value


def inner_share(text: str) -> float:
    """A number between 0 and 1, both ends left out."""
    value = float(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, got {text}")
    return value


inner_share.__name__ = "number between 0 and 1"


def positive(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def not_negative(text: str) -> float:
    """A number from 0 on."""
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text}")
    return value


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """--head, --backbone, --precision, --engine, --select, --aligned, --min-face-size, --detector, --mc-dropout,
    --threads."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--head", default="dlib-pfe", help="a shipped head (dlib-pfe, dlib-pfe-scalar) or a path *.safetensors"
    )
    group.add_argument("--backbone", help="name or ONNX spec *.json (default: the one that the head was trained on)")
    add_precision(group)
    group.add_argument(
        "--engine",
        choices=tuple(ENGINES),
        help="what runs the model, with a precision of its own; faceunc bench finds the fastest here (default: torch "
        "in --precision, for dlib's network with fused convolutions where it can)",
    )
    group.add_argument(
        "--select", choices=("largest", "central"), default="largest", help="which face of several (default: largest)"
    )
    group.add_argument(
        "--aligned",
        action="store_true",
        help="the photographs are aligned square chips: no detection (a square photograph is taken for one, too)",
    )
    group.add_argument(
        "--min-face-size",
        type=whole(12),
        default=40,
        metavar="PX",
        help="smallest face looked for, after photos over 1280 px are reduced to it (default: 40)",
    )
    group.add_argument(
        "--detector",
        choices=("mtcnn", "mtcnn-fast", "mtcnn-cropped"),
        default="mtcnn",
        help="mtcnn-fast detects about 1.4 times as fast; on LFW's 13,233 photographs no face missed, another one "
        "taken for the largest in 87 (0.7%%). mtcnn-cropped, for photographs cropped around one face, detects about "
        "2.7 times as fast on LFW; no face missed, 1 added, another one the largest in 63 (0.5%%), landmarks move by "
        "1.1 px (median), small faces are not counted; other photographs are searched in full, slower than by mtcnn "
        "(default: mtcnn, which finds what facenet-pytorch's MTCNN finds)",
    )
    group.add_argument(
        "--mc-dropout",
        type=whole(2),
        default=0,
        metavar="T",
        help="epistemic uncertainty by T passes with dropout before the last layer (100 is usual; cheap)",
    )
    group.add_argument("--dropout-rate", type=share, metavar="P", help="of --mc-dropout (default: 0.1)")
    group.add_argument(
        "--dropout-blocks",
        type=whole(1),
        nargs="+",
        default=[],
        metavar="K",
        help="also after these blocks (dlib: 1-14)",
    )
    add_threads(group)


def add_precision(parser: Any) -> None:
    """--precision."""
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="auto: bfloat16 where the processor has it and the embeddings agree, else float32",
    )


def add_threads(parser: Any) -> None:
    """--threads."""
    parser.add_argument("--threads", type=whole(1), metavar="N", help="processor threads (default: all cores)")


def apply_threads(args: argparse.Namespace) -> None:
    """Bound torch's threads when the user asked for it."""
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)


def load_embedder(args: argparse.Namespace) -> Any:
    """The embedder that the model options describe."""
    apply_threads(args)
    from faceunc.epistemic.dropout import DropoutPlan
    from faceunc.errors import InputError
    from faceunc.loading import load

    if not args.mc_dropout and (args.dropout_blocks or args.dropout_rate is not None):
        raise InputError("--dropout-rate and --dropout-blocks belong to --mc-dropout T: give that too")
    rate = 0.1 if args.dropout_rate is None else args.dropout_rate
    try:
        plan = DropoutPlan(tuple(args.dropout_blocks), rate=rate)
        return load(
            args.head,
            args.backbone,
            args.precision,
            args.select,
            args.aligned,
            args.min_face_size,
            args.mc_dropout,
            plan,
            detector=args.detector,
            engine=args.engine,
            measure=not getattr(args, "no_measures", False),  # an option of embed
        )
    except ValueError as error:  # a rate of 1, a block that the backbone does not have
        raise InputError(str(error)) from None


def add_json(kind: Any) -> None:
    """--json."""
    kind.add_argument("--json", type=Path, metavar="OUT", help="write OUT (JSON), and beside it a table and a figure")


def add_training(kind: Any) -> None:
    """--seed, --steps and --norm of the heads that are cross-fitted."""
    kind.add_argument("--seed", type=whole(0), default=0, help="seed of split and training (default: 0)")
    kind.add_argument("--steps", type=whole(1), default=1500, help="most training steps of each head (default: 1500)")
    kind.add_argument("--norm", action="store_true", help="cross-fitted heads take the embedding's norm as an input")
    kind.add_argument(
        "--method",
        action="append",
        default=[],
        metavar="METHOD",
        dest="methods",
        help="cross-fit this method instead of PFE, with its own defaults (may be repeated; see faceunc methods)",
    )
