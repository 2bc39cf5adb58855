"""A small LFW for the sweeps' tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

PEOPLE, EACH, FOLDS = 24, 4, 4
Lines = Callable[[list[str]], list[str]]


def make_mini(lfw: Path, folder: Path, people: slice, genuine: Lines, impostor: Lines) -> Path:
    """Four photographs each of 24 people, and a pair file of four folds with six people each.

    ``people``: which of those with four photographs or more. ``genuine``, ``impostor``: lines of a fold's six names.
    """
    enough = [p for p in sorted(lfw.iterdir()) if p.is_dir() and len(list(p.glob("*.jpg"))) >= EACH][people]
    for person in enough:
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:EACH]:
            (folder / person.name / photo.name).symlink_to(photo)
    lines: list[str] = []
    for fold in range(FOLDS):
        own = [person.name for person in enough[6 * fold : 6 * fold + 6]]
        lines += [*genuine(own), *impostor(own)]
    header = f"{FOLDS}\t{len(lines) // (2 * FOLDS)}"
    (folder / "pairs.txt").write_text("\n".join([header, *lines]) + "\n")
    return folder
