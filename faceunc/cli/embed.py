"""``faceunc embed``: photographs -> a folder with embeddings and a report."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_model_options, load_embedder

_DESCRIPTION = """Embed photographs: files, folders (searched to the bottom) and glob patterns.

OUT is a folder. It gets embeddings.safetensors (mean, log_var, ids), photos.csv (sigma, face size, detector score,
number of faces, sharpness, norm and simple measurements of every photograph: blur, brightness, contrast, noise, pose
and so on), failures.csv (what could not be embedded, by kind) and report.json. With --detector-sigma photos.csv also
says how uncertain the detection is: box_sigma and landmark_sigma, in pixels, root mean square over coordinates. A run
that is killed goes on where it stopped when it is started again; photographs that are in OUT already are not embedded
again (they are known by their path as it is typed). A bad photograph is reported and skipped."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "embed",
        help="photographs -> embeddings with sigma",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders or patterns")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="OUT", help="folder for the results")
    parser.add_argument("--retry-failed", action="store_true", help="try again what failed in an earlier run")
    parser.add_argument(
        "--detector-sigma",
        nargs="?",
        const="mtcnn-sigma",
        metavar="FILE",
        help="store how uncertain box and landmarks are; FILE: a path *.safetensors of your own (default: the shipped "
        "mtcnn-sigma); put this option behind PHOTOS",
    )
    parser.add_argument(
        "--no-measures",
        action="store_true",
        help="leave out blur, noise, pose and the like: a fifth faster for aligned chips; for photographs it hardly "
        "matters; rows of a result that was begun otherwise keep theirs",
    )
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Embed; exit code 0 when at least one photograph was embedded, 1 when none could be."""
    from faceunc.images.photos import find_photos

    photos = find_photos(args.photos)
    embedder = load_embedder(args)
    if args.detector_sigma is not None:
        from faceunc.detection.sigma import load_detector_sigma

        embedder.use_detector_sigma(load_detector_sigma(args.detector_sigma))
    from faceunc.extract import extract

    start = time.perf_counter()
    result = extract(embedder, photos, args.out, args.retry_failed)
    seconds = time.perf_counter() - start
    counts = f"{len(result.embeddings)} embedded, {len(result.failures)} failed"
    print(f"{counts} ({result.new} new in this run, {seconds:.1f} s) -> {args.out}")
    blank = sum(not quality.measures.taken for quality in result.quality)
    if blank and not args.no_measures:
        print(f"  {blank} rows of an earlier run are without measured flaws; embed them into another OUT to have them")
    for failure in result.failures[:5]:
        print(f"  {failure.kind}: {failure.message}", file=sys.stderr)
    if len(result.failures) > 5:
        print(f"  ... and {len(result.failures) - 5} more in {args.out / 'failures.csv'}", file=sys.stderr)
    if not len(result.embeddings):
        print("faceunc: error: none of the photographs could be embedded", file=sys.stderr)
        return 1
    return 0
