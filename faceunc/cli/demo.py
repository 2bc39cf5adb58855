"""``faceunc demo``: one photograph, degraded step by step; ``faceunc demo sine``: the teaching example."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_threads, apply_threads, whole

_DESCRIPTION = """Needs no data and no download: takes the public-domain photograph of an astronaut that scikit-image
carries, finds and aligns the face, degrades it step by step (blur, down-sampling, noise, occlusion), prints the
similarity to the original, sigma and mutual likelihood score of each step, and writes one figure."""

_SINE = """What the two kinds of uncertainty are, on the example of the literature (Kendall & Gal, NIPS 2017). Training
points y = sin x + noise lie in [-5, 5]; the noise is loudest at x = 1. Networks that predict a mean and a variance are
trained in two ways, with dropout (left on when predicting) and as an ensemble of several.

  epistemic: what the networks do not know. They disagree where no training point lies; more data would help.
  aleatoric: what is noise. The variance they predict follows the noise that is there; more data would not help. Outside
             the data it is extrapolated, and means nothing.

Prints both along x against the true noise, and writes one figure. The same seed gives the same numbers. 10 s to a
minute."""

_HEAD = "dlib-pfe"


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="a face degraded step by step: sigma rises; or the two kinds of uncertainty on a sine",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, out=None, photo=None, head=_HEAD, threads=None)
    _add_face_options(parser)
    kinds = parser.add_subparsers(title="demonstrations", dest="demonstration", metavar="{face,sine}")
    # SUPPRESS: an option that stands before the name of the demonstration keeps its value
    face = kinds.add_parser(
        "face",
        help="this one, which runs when none is named",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_face_options(face)
    _add_sine_parser(kinds)


def _add_face_options(parser: argparse.ArgumentParser) -> None:
    _add_out(parser, "faceunc-demo.png")
    parser.add_argument("--photo", type=Path, help="a photograph of your own instead of the astronaut")
    parser.add_argument("--head", help=f"a shipped head or a path (default: {_HEAD})")
    add_threads(parser)


def _add_sine_parser(kinds: Any) -> None:
    sine = kinds.add_parser(
        "sine",
        help="y = sin x under noise: what networks do not know, and what is noise",
        description=_SINE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    _add_out(sine, "faceunc-sine.png")
    sine.add_argument("--json", type=Path, metavar="FILE", default=None, help="write the numbers of the table as JSON")
    for name, least, default, meaning in (
        ("seed", 0, 0, "of points, weights and dropout"),
        ("members", 2, 5, "networks of the ensemble"),
        ("passes", 2, 200, "sampled networks of MC dropout"),
        ("points", 10, 400, "training points"),
        ("steps", 1, 1200, "training steps of each network"),
    ):
        words = f"{meaning} (default: {default})"
        sine.add_argument(f"--{name}", type=whole(least), default=default, metavar="N", help=words)
    sine.set_defaults(run=run_sine)


def _add_out(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("-o", "--out", type=Path, metavar="PNG", help=f"figure to write (default: {name})")


def run(args: argparse.Namespace) -> int:
    """Run the demo, print its table, write its figure."""
    apply_threads(args)
    from faceunc.demo import run_demo
    from faceunc.plots.demo import save_demo
    from faceunc.storage import atomic_path

    out = args.out or Path("faceunc-demo.png")
    result = run_demo(args.head, args.photo)
    print(result.table())
    with atomic_path(out) as temporary:
        save_demo(result, temporary)
    print(f"figure: {out}")
    return 0


def run_sine(args: argparse.Namespace) -> int:
    """Train, print the tables, write the figure and what was asked for."""
    import json
    from dataclasses import fields

    from faceunc.errors import InputError
    from faceunc.plots.sine import save_sine
    from faceunc.sine import SineConfig, run_sine
    from faceunc.sine_report import sine_table, sine_values
    from faceunc.storage import atomic_path, atomic_write, check_writable

    if args.photo is not None or args.head != _HEAD or args.threads is not None:
        raise InputError("--photo, --head and --threads are the face demonstration's: they do nothing for sine")
    out = args.out or Path("faceunc-sine.png")
    for path in filter(None, (out, args.json)):
        check_writable(path)
    result = run_sine(SineConfig(**{field.name: getattr(args, field.name) for field in fields(SineConfig)}))
    print(sine_table(result))
    with atomic_path(out) as temporary:
        save_sine(result, temporary)
    print(f"figure: {out}")
    if args.json:
        atomic_write(args.json, (json.dumps(sine_values(result), indent=1) + "\n").encode())
        print(f"written: {args.json}")
    return 0
