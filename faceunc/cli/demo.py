"""``faceunc demo``: one photograph, degraded step by step."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_threads, apply_threads

_DESCRIPTION = """Needs no data and no download: takes the public-domain photograph of an astronaut that scikit-image
carries, finds and aligns the face, degrades it step by step (blur, down-sampling, noise, occlusion), prints the
similarity to the original, sigma and mutual likelihood score of each step, and writes one figure."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="a face degraded step by step: sigma rises",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("faceunc-demo.png"), help="figure to write (default: faceunc-demo.png)"
    )
    parser.add_argument("--photo", type=Path, help="a photograph of your own instead of the astronaut")
    parser.add_argument("--head", default="dlib-pfe", help="a shipped head or a path (default: dlib-pfe)")
    add_threads(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo, print its table, write its figure."""
    apply_threads(args)
    from faceunc.demo import run_demo
    from faceunc.plots.demo import save_demo
    from faceunc.storage import atomic_path

    result = run_demo(args.head, args.photo)
    print(result.table())
    with atomic_path(args.out) as temporary:
        save_demo(result, temporary)
    print(f"figure: {args.out}")
    return 0
