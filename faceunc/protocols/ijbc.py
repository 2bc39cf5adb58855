"""IJB-B and IJB-C, 1:1 and 1:N, in insightface's layout or in NIST's own csv files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faceunc.errors import InputError
from faceunc.protocols.csv_table import BOX, group_templates, pair_positions, read_integers
from faceunc.protocols.ijb_1n import LETTERS, Tables, check_name, column, folder_of, read_1n, searches_of
from faceunc.protocols.ijbc_insightface import face_file, read_insightface
from faceunc.protocols.template_set import Ints, TemplatePairs, TemplateProtocol, TemplateSet

__all__ = ["PUBLISHED", "Counts", "counts", "read_ijb", "read_insightface", "read_nist"]


class Counts(NamedTuple):
    """How large a protocol is: rows (images), templates, 1:1 comparisons, and the genuine ones among them."""

    images: int
    templates: int
    pairs: int
    genuine: int


PUBLISHED = {
    "ijbb": Counts(227_630, 12_115, 8_010_270, 10_270),
    "ijbc": Counts(469_375, 23_124, 15_658_489, 19_557),
}


def counts(protocol: TemplateProtocol) -> Counts:
    """Size of a protocol, to be held against :data:`PUBLISHED`."""
    pairs = protocol.pairs
    return Counts(len(protocol.templates.images), len(protocol.templates), len(pairs), int(pairs.same.sum()))


def read_ijb(root: Path, name: str) -> TemplateProtocol:
    """Read IJB-B (``name`` "ijbb") or IJB-C ("ijbc") in the layout that ``root`` holds, insightface's before NIST's.

    Raises:
        InputError: neither layout is there (the message lists what was looked for), or as in the two readers.
    """
    check_name(name)
    if face_file(root, name).is_file():
        return read_insightface(root, name)
    probes = [folder / f"{name}_1N_probe_mixed.csv" for folder in _folders(root)]
    if any(path.is_file() for path in probes):
        return read_nist(root, name)
    looked = ", ".join(map(str, [face_file(root, name), *probes]))
    raise InputError(f"{root}: expected {name} in insightface's or NIST's layout, found none of {looked}")


def read_nist(root: Path, name: str) -> TemplateProtocol:
    """Read NIST's csv files from ``root``, ``root/protocols`` or ``root/protocol``.

    They are the galleries ``{name}_1N_gallery_G1.csv`` and ``_G2.csv`` (in IJB-B S1 and S2), the probes
    ``{name}_1N_probe_mixed.csv``, and the comparisons ``{name}_11_G1_G2_matches.csv``, all in one folder. Images are
    the FILENAME column (``img/1.png``, ``frames/2_3.png``). A medium is the MEDIA_ID column when there is one; else
    each still is one, and all frames of a video are one, told by the name without ``_<frame>``.

    Raises:
        InputError: a missing file or column, a field that is no number, a comparison of an unknown template, a
            template of two subjects or in two files.
    """
    check_name(name)
    tables = read_1n(_folders(root), name, ("TEMPLATE_ID", "SUBJECT_ID", "FILE"), (*BOX, "MEDIA_ID"))
    if not tables:
        looked = ", ".join(str(folder / f"{name}_1N_gallery_G1.csv") for folder in _folders(root))
        raise InputError(f"{root}: expected {name} in NIST's layout, found none of {looked} (nor S1)")
    templates = _templates(tables)
    names = [f"{name}_11_{letter}1_{letter}2_matches.csv" for letter in LETTERS]
    path = next((p for p in (folder_of(tables) / n for n in names) if p.is_file()), folder_of(tables) / names[0])
    first, second = pair_positions(templates, read_integers(path, 2, ","), path)
    pairs = TemplatePairs(first, second, templates.subject[first] == templates.subject[second])
    return TemplateProtocol(templates, pairs, searches_of(templates, tables))


def _folders(root: Path) -> list[Path]:
    return [root, root / "protocols", root / "protocol"]


def _templates(tables: Tables) -> TemplateSet:
    rows = column(tables, "TEMPLATE_ID")
    ids, template, subject = group_templates(rows, column(tables, "SUBJECT_ID"), folder_of(tables))
    images = tuple(name for table in tables.values() for name in table.values["FILE"])
    listed = all("MEDIA_ID" in table.values for table in tables.values())
    media = column(tables, "MEDIA_ID") if listed else _media_of_names(images)
    boxes = [box for table in tables.values() if (box := table.boxes()) is not None]
    box = np.concatenate(boxes) if len(boxes) == len(tables) else None
    return TemplateSet(images, template, media, ids, subject, box=box)


def _media_of_names(images: tuple[str, ...]) -> Ints:
    """A number for each still and for each video, told by the file names, int64 (R,)."""
    media = [re.sub(r"(^|/)(frames?/.+)_[0-9]+\.\w+$", r"\1\2", image) for image in images]
    number = {medium: place for place, medium in enumerate(dict.fromkeys(media))}
    return np.array([number[medium] for medium in media], np.int64)
