"""``faceunc train``: a head of any method on a folder of identities."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli import train_detector
from faceunc.cli.options import add_precision, add_threads, apply_threads, not_negative, positive, share, whole

_DESCRIPTION = """Train a head on a folder with one sub-folder a person (people with at least two photographs count).

The backbone stays frozen. Every photograph is seen clean and in three degraded views. A share of the people is held
out: training stops when their loss no longer improves (the likelihoods are normally NEGATIVE), and on them it is
checked afterwards that sigma carries something. Landmarks and features are cached; --checkpoint lets a killed training
go on.

HEAD.safetensors is written with a card (HEAD.json: data, people (hashed), seed, settings, history, check) and the
curves of training (HEAD.png)."""

# name, paper's title: what METHODS holds, said here so that --help needs no torch; a test keeps the two together
METHOD_HELP = {
    "pfe": "probabilistic face embeddings (Shi & Jain, 2019)",
    "dul-cls": "sampled embedding, margin softmax, KL (Chang et al., 2020); the mean moves",
    "dul-mls": "the mean learns as in dul-cls, the variance as in pfe",
    "dul-reg": "regression to the class centre (Chang et al., 2020); the mean moves",
    "softmax": "margin softmax without uncertainty, the deterministic counterpart of dul-cls; the mean moves",
    "probface": "scalar variance with regulariser and triplets (Chen et al., 2021)",
    "vmf": "von Mises-Fisher concentration, SCF (Li et al., 2021)",
    "scaleface": "a learned softmax scale is the confidence (Kail et al., 2022)",
    "norm": "length of the embedding as variance (MagFace-style): two numbers are learned",
    "serfiq": "SER-FIQ, stability under dropout, as variance: two numbers are learned",
}
METHOD_SETTINGS: dict[str, tuple[str, ...]] = {
    "pfe": ("variance", "architecture", "norm"),
    "dul-cls": ("variance", "norm", "start", "classifier", "margin", "scale", "kl_weight", "kl_reduction"),
    "dul-mls": ("variance", "norm", "start", "classifier", "margin", "scale", "kl_weight", "kl_reduction"),
    "dul-reg": ("variance", "norm", "mean", "start", "centres"),
    "softmax": ("norm", "start", "classifier", "margin", "scale"),
    "probface": ("norm", "regulariser", "triplet"),
    "vmf": ("norm", "centres"),
    "scaleface": ("norm", "centres"),
    "norm": (),
    "serfiq": (),
}
_FLAGS: dict[str, dict[str, Any]] = {
    "variance": {"choices": ("per-dimension", "scalar"), "default": "per-dimension"},
    "architecture": {"choices": ("pooled", "paper"), "default": "pooled", "help": "pooled: small, for little data"},
    "norm": {"action": "store_true", "help": "the embedding's norm is one more input"},
    "mean": {"choices": ("moving", "frozen"), "default": "moving", "help": "frozen: only the variance learns"},
    "start": {
        "choices": ("pretrained", "scratch", "tuned"),
        "default": "pretrained",
        "help": "where the mean begins: at the backbone's embedding, anew from its features, or at the backbone's last "
        "blocks, which are fine-tuned (--backbone dlib@13: block 14 of 14 learns)",
    },
    "centres": {
        "choices": ("means", "weights"),
        "default": "means",
        "help": "class centres: mean of a person's other photographs, or weights of a margin softmax",
    },
    "classifier": {"choices": ("softmax", "cosface", "arcface"), "default": "cosface"},
    "margin": {"type": not_negative, "help": "cosface: in cosine (default: 0.2); arcface: in radians (default: 0.3)"},
    "scale": {"type": positive, "default": 32.0, "help": "of the logits (default: 32)"},
    "kl_weight": {"type": not_negative, "default": 0.001, "help": "weight of the KL regulariser (default: 0.001)"},
    "kl_reduction": {
        "choices": ("sum", "mean"),
        "default": "sum",
        "help": "over dimensions; with the mean the same weight counts D times less, and sigma may collapse",
    },
    "regulariser": {"type": not_negative, "default": 0.001, "help": "of unequal variances (default: 0.001)"},
    "triplet": {"type": not_negative, "default": 0.001, "help": "weight of the triplet term (default: 0.001)"},
}


def add_parser(commands: Any) -> None:
    """Add the command and its methods."""
    parser = commands.add_parser("train", help="train a head (faceunc methods: which)")
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)
    for name, about in METHOD_HELP.items():
        method = methods.add_parser(
            name, help=about, description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        _add_common(method)
        if METHOD_SETTINGS[name]:
            group = method.add_argument_group(f"settings of {name}")
            for setting in METHOD_SETTINGS[name]:
                group.add_argument(f"--{setting.replace('_', '-')}", **_FLAGS[setting])
        method.set_defaults(run=run)
    train_detector.add_parser(methods)


def _add_common(method: argparse.ArgumentParser) -> None:
    method.add_argument("data", type=Path, metavar="DATA", help="folder of identities")
    method.add_argument("-o", "--out", required=True, type=Path, metavar="HEAD", help="file *.safetensors to write")
    method.add_argument("--backbone", default="dlib", help="name or ONNX spec *.json (default: dlib)")
    method.add_argument("--steps", type=whole(1), default=1500, help="most optimiser steps (default: 1500)")
    method.add_argument("--people", type=whole(2), default=64, help="people a batch (default: 64)")
    method.add_argument("--images", type=whole(2), default=4, help="photographs of each a batch (default: 4)")
    method.add_argument("--lr", type=positive, default=1e-3, help="learning rate of AdamW (default: 0.001)")
    method.add_argument("--validation", type=share, default=0.15, help="share of people held out (default: 0.15)")
    method.add_argument("--seed", type=whole(0), default=0)
    method.add_argument("--checkpoint", type=Path, help="file to store the state in, and to go on from")
    method.add_argument("--select", choices=("largest", "central"), default="central", help="which face of several")
    method.add_argument("--ensemble", type=whole(2), metavar="M", help="train M heads, stored and used as one")
    method.add_argument(
        "--ensemble-kind",
        choices=("seeds", "bootstrap", "checkpoints"),
        help="of --ensemble: members differ by seed (default), by people drawn with replacement, or are the last "
        "states of one training (one every 100 steps)",
    )
    add_precision(method)
    add_threads(method)


def run(args: argparse.Namespace) -> int:
    """Train, write, and print the collapse check."""
    apply_threads(args)
    from dataclasses import replace

    from faceunc.errors import InputError
    from faceunc.training.loop import TrainOptions
    from faceunc.training.methods import find_method
    from faceunc.training.recipe import EnsembleOptions
    from faceunc.training.train import TrainRequest, train_method

    if args.ensemble_kind and not args.ensemble:
        raise InputError("--ensemble-kind belongs to --ensemble M: give that too")
    options = TrainOptions(
        steps=args.steps, people=args.people, images=args.images, lr=args.lr, validation=args.validation, seed=args.seed
    )
    chosen = {name: getattr(args, name) for name in METHOD_SETTINGS[args.method]}
    request = TrainRequest(
        data=args.data,
        out=args.out,
        method=args.method,
        settings=replace(find_method(args.method).default_settings(), **chosen),
        backbone=args.backbone,
        precision=args.precision,
        select=args.select,
        checkpoint=args.checkpoint,
        ensemble=EnsembleOptions(args.ensemble, args.ensemble_kind or "seeds") if args.ensemble else None,
    )
    print(train_method(request, options).text())
    return 0
