"""``faceunc methods``: the family, with papers and contracts."""

from __future__ import annotations

import argparse
from typing import Any

_DESCRIPTION = """List every method that can be trained: what it is, what it makes of an embedding, when to use it, what
it costs. All end in the same Embeddings (mean, log_var): every score, fusion, protocol and figure takes them."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "methods",
        help="list the methods, with paper and contract",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    import json

    from tabulate import tabulate

    from faceunc.training.methods import METHODS

    fields = ("name", "paper", "mean", "variance", "score", "when", "cost")
    rows = [{field: getattr(method, field) for field in fields} for method in METHODS.values()]
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        wide = [None, 22, 10, 16, None, 34, 22]
        headers = ["method", "paper", "mean", "variance", "its score", "when", "cost"]
        print(tabulate([list(row.values()) for row in rows], headers, maxcolwidths=wide))
        print(
            "\nfaceunc train METHOD --help: its settings; faceunc eval PROTOCOL --method METHOD: cross-fitted figures"
        )
    return 0
