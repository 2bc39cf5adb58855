"""``faceunc``: the entry point."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from faceunc.cli import (
    bench,
    calibrate,
    compare,
    demo,
    embed,
    evaluate,
    export,
    methods,
    protocol,
    report,
    sweep,
    train,
)
from faceunc.errors import FaceuncError

_EPILOG = """examples:
  faceunc demo                                   a face degraded step by step: sigma rises (no data needed)
  faceunc embed holiday/ -o out                  all photographs of a folder -> out/embeddings.safetensors
  faceunc compare a.jpg b.jpg                    similarity, confidence, decision, which photo limits it and why
  faceunc report people/ -o audit.html           a quality audit of a folder: what is poor, why, who would be refused
  faceunc eval lfw data/lfw --json lfw.json      cosine against MLS on LFW, heads cross-fitted by identity
  faceunc sweep degradation data/lfw             how scores break as photographs get worse, kind by kind
  faceunc protocol make-ijb people/ -o ijb       an IJB-style benchmark of your own data
  faceunc train pfe people/ -o head.safetensors  a variance head of your own (faceunc methods: the other methods)
  faceunc demo sine                              what is epistemic, what is aleatoric: the teaching example
"""


class _Parser(argparse.ArgumentParser):
    """Errors in one line, and where to read on; sub-commands inherit it."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"faceunc: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands."""
    parser = _Parser(
        prog="faceunc",
        description="Face embeddings with an honest uncertainty.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for module in (embed, compare, calibrate, report, train, methods, evaluate, sweep, protocol, bench, export, demo):
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 good, 2 for an error that the user can mend, 130 when interrupted."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.version:
        from faceunc.provenance import version

        print(f"faceunc {version()}")
        return 0
    if args.command is None:
        parser.print_help()
        return 0
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of photographs that are read in spite of a damaged EXIF block
    try:
        return int(args.run(args))
    except FaceuncError as error:
        print(f"faceunc: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("faceunc: interrupted; start the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
