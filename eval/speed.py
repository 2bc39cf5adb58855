"""Speed: ``python eval/speed.py LFW --out eval/results [--only scoring,engines,growth.search]``.

Writes speed.json, speed.txt (every goal: reached, not, or not measured; then a table or two a section), speed.png and
speed-growth.png. Without ``--only`` every section but the memory of 100,000 photographs is measured, about half an hour
on two quiet cores; ``--only all`` adds that (``memory.aligned``, ``memory.photographs``). "growth" is all of its works;
``methods.NAME`` is one method. A section that is not measured keeps its old figures and their own provenance; one is
stored as soon as it is measured. ``methods`` goes on with those that are missing at this commit (``--again``: all of
them). For figures to believe, nothing else may run on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from speed_panels import draw
from speed_store import FILE, ON_REQUEST, SECTIONS, add, read
from speed_text import text_of

from faceunc.errors import InputError
from faceunc.evaluation.methods import FAMILY
from faceunc.provenance import provenance
from faceunc.storage import atomic_write

MINUTES = {**SECTIONS, **ON_REQUEST}
METHOD = "methods."  # before the name of one
DETECTOR_PHOTOS = 512


def main() -> None:
    """Measure what was asked for, then write all files; a section is stored as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help="sections, with commas; all: every one; none: only write the files"
    )
    parser.add_argument("--again", action="store_true", help="methods: all of them, also those that were measured")
    args = parser.parse_args()
    path = args.out / FILE
    try:
        sections, names = read(path), chosen(args.only)
        announce(names)
        for number, name in enumerate(names, 1):
            say(f"[{number}/{len(names)}] {name} ...")
            start = time.perf_counter()
            for section, figures in measured(name, args, sections):
                sections = add(path, section, figures, command(args, section))
            say(f"[{number}/{len(names)}] {name}: {(time.perf_counter() - start) / 60:.1f} minutes")
    except InputError as error:
        parser.error(str(error))
    text = text_of(sections)
    atomic_write(args.out / "speed.txt", (text + "\n").encode())
    draw(sections, args.out)
    print(text)


def announce(names: list[str]) -> None:
    """What will be run and about how long."""
    if names:
        minutes = [minutes_of(name) for name in names]
        parts = ", ".join(f"{name} {each:g}" for name, each in zip(names, minutes, strict=True))
        say(f"about {sum(minutes):.0f} minutes on two quiet cores: {parts}")


def minutes_of(name: str) -> float:
    """About how long a section takes."""
    return MINUTES["methods"] / len(FAMILY) if name.startswith(METHOD) else MINUTES[name]


def say(line: str) -> None:
    """Progress, beside the tables on standard output."""
    print(line, file=sys.stderr, flush=True)


def chosen(only: str) -> list[str]:
    """The sections of ``--only``; "growth" is all of its works. Raises InputError for an unknown one."""
    known = (*SECTIONS, *ON_REQUEST)
    names: list[str] = []
    for word in only.split(","):
        found = [name for name in known if word in ("all", name, name.partition(".")[0])]
        if word.startswith(METHOD) and word.removeprefix(METHOD) in FAMILY:
            found = [word]
        if not found and word != "none":
            raise InputError(f"--only: expected some of {', '.join(known)}, all or none, got {word!r}")
        names += found
    return list(dict.fromkeys(names))


def measured(name: str, args: argparse.Namespace, sections: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The section and its figures; of the methods, one more at a time."""
    part, _, work = name.partition(".")
    if part == "methods":
        only = (work,) if work else FAMILY
        rows, commit = methods_so_far(sections), provenance()["commit"]
        done = {key: row for key, row in rows.items() if row["commit"] == commit and not (args.again and key in only)}
        for figures in importlib.import_module("speed_training").methods(args.data, done, only):
            yield part, {**rows, **{method: {"commit": commit, **row} for method, row in figures.items()}}
    else:
        yield name, MEASURES.get(part, _whole)(name, args.data)


def methods_so_far(sections: Mapping[str, Any]) -> dict[str, Any]:
    """The methods' rows, each with the commit at which it was measured."""
    section = sections.get("methods", {"figures": {}, "provenance": {"commit": ""}})
    return {method: {"commit": section["provenance"]["commit"], **row} for method, row in section["figures"].items()}


def command(args: argparse.Namespace, name: str) -> str:
    """What measures this section again."""
    return f"python eval/speed.py LFW --out {os.path.relpath(args.out)} --only {name}"


def _whole(name: str, data: Path) -> dict[str, Any]:
    figures: dict[str, Any] = importlib.import_module(f"speed_{name}").measure(data)
    return figures


def _growth(name: str, data: Path) -> dict[str, Any]:
    figures: dict[str, Any] = importlib.import_module("speed_growth").PARTS[name.partition(".")[2]](data)
    return figures


def _memory(name: str, data: Path) -> dict[str, Any]:
    figures: dict[str, Any] = importlib.import_module("speed_extraction_memory").measure(data, name.partition(".")[2])
    return figures


def _detectors(name: str, data: Path) -> dict[str, Any]:
    """Every detector at every smallest face, over photographs spread over LFW."""
    from faceunc.images.photos import identity_folder

    tables = importlib.import_module("speed_extraction_detectors")
    return {"detectors": tables.sizes_table(identity_folder(data).paths, DETECTOR_PHOTOS)}


MEASURES: dict[str, Callable[[str, Path], dict[str, Any]]] = {
    "growth": _growth,
    "memory": _memory,
    "detectors": _detectors,
}


if __name__ == "__main__":
    main()
