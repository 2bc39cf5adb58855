"""``faceunc compare``: two photographs."""

from __future__ import annotations

import argparse
import json
from typing import Any

from faceunc.cli.options import add_model_options, load_embedder

_DESCRIPTION = """Compare the faces of two photographs.

similarity  cosine of the two embeddings, in [-1, 1]: what the frozen model says
MLS         mutual likelihood score in nats (the paper's form): higher = more likely the same person
sigma       uncertainty of each embedding on the unit sphere: the photo with the larger one is the poorer"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="similarity, likelihood and both sigmas of two photographs",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="A", help="photograph")
    parser.add_argument("second", metavar="B", help="photograph")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    embedder = load_embedder(args)
    from faceunc.compare import compare

    result = compare(embedder, args.first, args.second)
    print(json.dumps(result.to_dict(), indent=1) if args.json else result.text())
    return 0
