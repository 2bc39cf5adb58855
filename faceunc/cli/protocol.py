"""``faceunc protocol``: make a protocol of one's own data, check one that was downloaded."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_threads, apply_threads, share, whole

_MAKE = """Make an IJB-C-format protocol of a folder with one sub-folder a person, in insightface's layout: stills and
degraded "videos", media, templates, 1:1 comparisons, galleries G1 and G2 with probes, loose crops with five points and
detector scores. Everything follows from the photographs, the options and the seed. A run that is killed goes on where
it stopped. Evaluate it with

  faceunc eval ijbc OUT --train-on DIR

which cross-fits two heads on the same people, so that nobody is embedded by a head that met them.
"""
_CHECK = """Say what is in DIR (or in a .bin file): which protocols, what is missing, counts against the published ones,
duplicates, images that cannot be read, and what each of these means. Known: LFW (View 1, View 2), XQLFW, CFP, YTF,
IJB-A, IJB-B, IJB-C (NIST's csv files or insightface's layout), insightface's .bin files; not MegaFace's lists.

Exit code: 0 when all is well, 1 when there are problems, 2 when nothing of a protocol is there."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "protocol", help="make an IJB-style protocol of any folder of people; check a protocol's files"
    )
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    raw = argparse.RawDescriptionHelpFormatter
    make = kinds.add_parser("make-ijb", help="an IJB-C-format protocol", description=_MAKE, formatter_class=raw)
    make.add_argument("data", type=Path, metavar="DIR", help="folder with one sub-folder of photographs a person")
    make.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for the protocol")
    make.add_argument("--seed", type=whole(0), default=0, help="everything random follows from it (default: 0)")
    make.add_argument(
        "--pairs", type=whole(2), default=2_000_000, metavar="N", help="about N 1:1 comparisons (default: 2,000,000)"
    )
    make.add_argument(
        "--video-share", type=share, default=0.5, help="share of photographs that become videos (default: 0.5)"
    )
    make.add_argument(
        "--max-photos", type=whole(2), default=40, metavar="N", help="most photographs of one person (default: 40)"
    )
    add_threads(make)
    make.set_defaults(run=run_make)
    check = kinds.add_parser("check", help="what is there, what is wrong", description=_CHECK, formatter_class=raw)
    check.add_argument("data", type=Path, metavar="DIR", help="folder of the protocol, or a .bin file")
    check.add_argument("--images", type=Path, metavar="DIR", help="folder that image paths start at (default: DIR)")
    check.add_argument("--quick", action="store_true", help="only look whether the images exist, do not read them")
    check.set_defaults(run=run_check)


def run_make(args: argparse.Namespace) -> int:
    """Make the protocol, say what it holds."""
    apply_threads(args)
    from faceunc.images.photos import identity_folder
    from faceunc.protocols.ijb_plan import PlanOptions
    from faceunc.protocols.make_ijb import make_ijb
    from faceunc.storage import cache_dir

    options = PlanOptions(args.seed, args.video_share, max_photos=args.max_photos, pairs=args.pairs)
    complete = (args.out / "manifest.json").is_file()
    facts = make_ijb(identity_folder(args.data), args.out, cache_dir(), options)
    for name, value in facts.items():
        if name not in ("options", "provenance"):
            print(f"{name:40s} {value}")
    if complete:
        print(f"complete already, nothing was written or checked ('faceunc protocol check' does that): {args.out}")
    else:
        print(f"written: {args.out}")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Print the findings; problems go to stderr as well counted at the end."""
    from faceunc.protocols.check import check_protocol
    from faceunc.protocols.findings import PROBLEM

    problems = 0
    for finding in check_protocol(args.data, args.images, not args.quick):
        print(f"{finding.level:8s} {finding.text}" + (f"\n         -> {finding.meaning}" if finding.meaning else ""))
        problems += finding.level == PROBLEM
    if problems:
        print(f"faceunc: {problems} problem(s) found in {args.data}", file=sys.stderr)
    return 1 if problems else 0
