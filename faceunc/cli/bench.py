"""``faceunc bench``: which engine is the fastest on this machine, and whether it says the same."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_threads, apply_threads, positive, whole

_DESCRIPTION = """Measure every engine that is installed, in one run, on this machine: torch, torch with fused
convolutions, onnxruntime, OpenVINO, each in float32 and, where the processor has it, in bfloat16.

An engine turns aligned face chips into mean and log_var. All run the same backbone and the same head; they differ in
speed, and a little in their last digits. The table says of each

  chips/s     aligned chips a second at the given batch, several batches side by side as in faceunc embed; reading
              photographs and finding faces is not counted, and takes longer
  quartiles   between which the middle half of the rounds lies
  x torch     against torch in float32, measured in the same run
  ms          one chip alone, as for a camera or a door
  1 - cosine  largest cosine distance of its means to those of torch in float32, over a real face, clean and degraded
  log_var     largest difference of log_var
  agrees      whether both are small enough to compare its embeddings with those of another engine that agrees
              (one result of faceunc embed is continued in its own precision only)

marks by * what faceunc embed uses by itself, and says below the fastest that agrees, with the option to use it. An
engine that cannot run here is listed with what helps; asked for by --engine, it is an error. Nothing is stored unless
--json is given. Without PHOTOS the face is the astronaut's that scikit-image carries (public domain)."""

_EXAMPLES = """examples:
  faceunc bench                           all engines with the shipped head dlib-pfe, half a minute
  faceunc bench --compile                 torch.compile as well (takes a minute or two more, needs a C++ compiler)
  faceunc bench holiday/ --batch 64       compared on your own photographs
  faceunc bench --head mine.safetensors --backbone arcface.json --json bench.json
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="which engine (torch, onnxruntime, OpenVINO ...) is the fastest here, and agrees",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="*", metavar="PHOTOS", help="files, folders or patterns to compare engines on")
    add_head(parser)
    parser.add_argument("--engine", action="append", metavar="NAME", help="only this one (may be repeated)")
    parser.add_argument("--compile", action="store_true", help="the engines of torch.compile as well")
    parser.add_argument("--batch", type=whole(1), default=32, metavar="N", help="chips a call (default: 32)")
    parser.add_argument(
        "--seconds", type=positive, default=3.0, metavar="S", help="timing of each engine, about (default: 3)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures and the choice as JSON")
    add_threads(parser)
    parser.set_defaults(run=run)


def add_head(parser: argparse.ArgumentParser) -> None:
    """--head and --backbone."""
    parser.add_argument(
        "--head", default="dlib-pfe", help="a shipped head (dlib-pfe, dlib-pfe-scalar) or a path *.safetensors"
    )
    parser.add_argument("--backbone", help="name or ONNX spec *.json (default: the one that the head was trained on)")


def load_pair(args: argparse.Namespace) -> Any:
    """(head, backbone in float32) that the options name. Raises InputError, IncompatibleError."""
    from faceunc.backbones.registry import load_backbone
    from faceunc.heads.shipped import head_path
    from faceunc.heads.store import load_head

    head = load_head(head_path(args.head))
    backbone = load_backbone(args.backbone or head.backbone, "float32")
    head.check_backbone(backbone.spec)
    return head, backbone


def run(args: argparse.Namespace) -> int:
    """Measure and print; exit code 0."""
    apply_threads(args)
    from faceunc.engines.bench import COMPILED, run_bench
    from faceunc.engines.bench_text import bench_text
    from faceunc.engines.names import ENGINES
    from faceunc.engines.parity import with_degraded
    from faceunc.storage import check_writable

    if args.json:
        check_writable(args.json)
    head, backbone = load_pair(args)
    chips = with_degraded(_chips(args, backbone.spec))
    names = args.engine or [name for name in ENGINES if name not in COMPILED]
    if args.compile:
        names = [*names, *COMPILED]
    result = run_bench(head, backbone, chips, args.batch, args.seconds, names, required=args.engine or ())
    print(bench_text(result))
    if args.json:
        _write(args.json, result)
    return 0


def _chips(args: argparse.Namespace, spec: Any) -> Any:
    from faceunc.engines.parity import face_chips, photo_chips

    if not args.photos:
        return face_chips(spec)
    from faceunc.images.photos import find_photos

    photos = find_photos(args.photos)
    chips, failures = photo_chips(spec, photos)
    if failures:
        print(f"{len(failures)} of {len(photos)} photographs left out, first: {failures[0]}", file=sys.stderr)
    return chips


def _write(path: Path, result: Any) -> None:
    import json

    from faceunc.provenance import provenance
    from faceunc.storage import atomic_write

    values = {**result.to_dict(), "provenance": provenance()}
    atomic_write(path, (json.dumps(values, indent=1) + "\n").encode())
    print(f"\nwritten: {path}")
