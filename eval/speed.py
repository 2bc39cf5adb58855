"""Speed: ``python eval/speed.py LFW --out eval/results [--only scoring,extraction,engines,training,growth]``.

Writes speed.json, speed.txt (every goal, reached or not, and every figure), speed.png and speed-growth.png. A section
that is not measured keeps its old figures and their own provenance. Growth is five sections (``growth.pairs``, ...);
``methods``, the training time of every method, is measured when named, and goes on with those that are missing
(``--again``: all anew). For figures to believe, nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speed_goals import outcomes
from speed_panels import draw
from tabulate import tabulate

from faceunc.errors import InputError
from faceunc.provenance import provenance
from faceunc.storage import atomic_write

WORKS = ("embedding", "pairs", "search", "pooling", "roc")
SECTIONS = ("scoring", "extraction", "engines", "training", *(f"growth.{work}" for work in WORKS))
ON_REQUEST = ("methods",)


def main() -> None:
    """Measure what was asked for, then write all files; a section is stored as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas; none: only write the files")
    parser.add_argument("--again", action="store_true", help="methods: all of them, also those that were measured")
    args = parser.parse_args()
    try:
        sections, names = read(args.out / "speed.json"), chosen(args.only)
    except InputError as error:
        parser.error(str(error))
    for name in names:
        for figures in measured(name, args, sections):
            path, section = args.out / "speed.json", {"figures": figures, "provenance": source(args, name)}
            sections = {**read(path), name: section}  # another run may have written meanwhile
            write(path, sections)
    text = table(sections)
    atomic_write(args.out / "speed.txt", (text + "\n").encode())
    draw(sections, args.out)
    print(text)


def chosen(only: str) -> list[str]:
    """The sections of ``--only``; "growth" is all of its works. Raises InputError for an unknown one."""
    known = (*SECTIONS, *ON_REQUEST)
    names: list[str] = []
    for word in only.split(","):
        found = [name for name in known if word in (name, name.partition(".")[0])]
        if not found and word != "none":
            raise InputError(f"--only: expected some of {', '.join(known)} or none, got {word!r}")
        names += found
    return list(dict.fromkeys(names))


def measured(name: str, args: argparse.Namespace, sections: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The section's figures; of the methods, one more at a time."""
    module, _, work = name.partition(".")
    if name == "methods":
        old = {} if args.again or name not in sections else sections[name]["figures"]
        yield from importlib.import_module("speed_training").methods(args.data, dict(old))
    elif work:
        yield importlib.import_module(f"speed_{module}").PARTS[work](args.data)
    else:
        yield importlib.import_module(f"speed_{module}").measure(args.data)


def source(args: argparse.Namespace, name: str) -> dict[str, Any]:
    """Where the figures of a section come from."""
    return {**provenance(), "command": f"python eval/speed.py {args.data} --out {args.out} --only {name}"}


def read(path: Path) -> dict[str, Any]:
    """The sections that were measured before. Raises InputError for a file that is none of ours."""
    if not path.is_file():
        return {}
    try:
        return dict(json.loads(path.read_text("utf-8"))["sections"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: expected the sections of eval/speed.py; remove it to begin anew") from None


def write(path: Path, sections: Mapping[str, Any]) -> None:
    """All sections, in the order of the issue's points."""
    order = [name for name in (*SECTIONS, *ON_REQUEST) if name in sections]
    content = {"sections": {name: sections[name] for name in order}}
    atomic_write(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def table(sections: Mapping[str, Any]) -> str:
    """Goals first, then every figure of every section."""
    rows = [outcome.row() for outcome in outcomes(sections)]
    parts = [tabulate(rows, headers=("section", "figure", "measured", "goal", "reached"), disable_numparse=True)]
    for name, section in sections.items():
        origin = section["provenance"]
        where = f"{origin['machine']['processor']}, {origin['machine']['cores']} cores"
        parts.append(f"\n{name} ({origin['date'][:16]}, commit {origin['commit']}, {where})")
        leaves = [(" / ".join(path), _shown(value)) for path, value in flat(section["figures"]) if path[0] != "goals"]
        parts.append(tabulate(leaves, tablefmt="plain", disable_numparse=True))
    return "\n".join(parts)


def flat(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(keys, value) of everything that is no dictionary."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, (*path, str(key)))
    else:
        yield path, value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_shown(item) for item in value) or "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
