"""``faceunc report``: a quality audit of any folder of photographs, as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from faceunc.cli.options import add_model_options, load_embedder, positive, share, whole

_DESCRIPTION = """Audit the quality of photographs: files, folders (a sub-folder is a person) and patterns.

REPORT.html holds everything, pictures included, and needs no network: how sigma is distributed (in each folder, where
several are given), faces at its quantiles, lowest and highest sigma, sigma against sharpness, face size, pose and so
on, which photographs are poor and what is probably wrong with them, which people would be refused, and what could not
be used. Beside it: REPORT.json (all figures, all rows) and REPORT.png (the contact sheet of lowest and highest sigma).

The embeddings go to a folder as faceunc embed writes it (REPORT.embeddings, or the one of --embedded): a run that is
killed goes on where it stopped, and what is there already is not embedded again."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="a quality audit of a folder of photographs, as one HTML file",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", nargs="+", metavar="PHOTOS", help="files, folders or patterns")
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="REPORT.html", help="the page to write")
    parser.add_argument("--embedded", type=Path, metavar="OUT", help="folder of embeddings, of faceunc embed -o OUT")
    limit = parser.add_mutually_exclusive_group()
    limit.add_argument("--refuse-sigma", type=positive, metavar="S", help="refuse photographs with a larger sigma")
    limit.add_argument(
        "--refuse-share",
        type=share,
        metavar="R",
        help="refuse beyond the sigma of the worst share R of LFW's clean faces (heads that ship), or of these "
        "photographs (other heads); default: 0.05",
    )
    parser.add_argument(
        "--degrade",
        type=whole(0),
        metavar="SEED",
        help="also show up to 1,000 of the photographs degraded, from a seed",
    )
    parser.add_argument("--title", help="of the page (default: names PHOTOS)")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Collect, write, and say in a few lines what was found."""
    from faceunc.errors import InputError
    from faceunc.storage import check_writable

    if args.out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{args.out}: expected the name of a page to write, ending in .html")
    check_writable(args.out)
    embedder = load_embedder(args)
    from faceunc.audit.collect import collect
    from faceunc.audit.limits import refusal_limit
    from faceunc.audit.report import write_report

    work = args.embedded or args.out.with_suffix(".embeddings")
    audit = collect(embedder, args.photos, work, args.degrade)
    limit = refusal_limit(audit.embeddings, args.refuse_sigma, args.refuse_share)
    title = args.title or f"Quality of {', '.join(args.photos[:3])}{' ...' if len(args.photos) > 3 else ''}"
    written = write_report(audit, embedder, limit, args.out, title)
    print(_text(written.figures))
    print("written: " + ", ".join(map(str, written.files)))
    return 0


def _text(figures: dict[str, Any]) -> str:
    """The report in a few lines."""
    refusal, people = figures["refusal"], figures["people"]
    failed = ", ".join(f"{count} {kind}" for kind, count in figures["failures"].items())
    flaws = ", ".join(f"{count} {kind}" for kind, count in list(figures["flaws"].items())[:5])
    lines = [
        f"{figures['embedded']} of {figures['photographs']} photographs embedded" + (f" ({failed})" if failed else ""),
        f"{refusal['beyond']} beyond the refusal limit, sigma {refusal['sigma']:.4g}: {refusal['origin']}",
        f"flaws named: {flaws}",
    ]
    if people:
        refused = sum(row["refused"] for row in people)
        lines.append(f"{refused} of {len(people)} people have no usable photograph within the limit")
    return "\n".join([*lines, *(f"warning: {line}" for line in figures["warnings"])])
