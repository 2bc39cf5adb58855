"""The 1:N part that both layouts of IJB-B and IJB-C share: two galleries and the mixed probes, as NIST's csv files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceunc.errors import InputError
from faceunc.protocols.csv_table import Columns, group_templates, read_columns
from faceunc.protocols.template_set import Ints, Search, TemplateSet

NAMES = ("ijbb", "ijbc")
LETTERS = ("G", "S")  # IJB-C calls its galleries G1 and G2, IJB-B S1 and S2

Tables = dict[str, Columns]


def check_name(name: str) -> None:
    """Raises InputError unless ``name`` is "ijbb" or "ijbc"."""
    if name not in NAMES:
        raise InputError(f"name must be one of {', '.join(NAMES)}. Got {name!r} instead.")


def read_1n(folders: list[Path], name: str, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Tables:
    """The tables "G1", "G2" (or "S1", "S2") and "probe" of the first folder that has a gallery; empty without one.

    Raises:
        InputError: one of the three files is missing, a template is in two of them, or as in :func:`read_columns`.
    """
    for folder in folders:
        for letter in LETTERS:
            stems = {part: f"gallery_{part}" for part in (f"{letter}1", f"{letter}2")}
            if any((folder / f"{name}_1N_{stem}.csv").is_file() for stem in stems.values()):
                stems["probe"] = "probe_mixed"
                paths = {part: folder / f"{name}_1N_{stem}.csv" for part, stem in stems.items()}
                tables = {part: read_columns(path, required, optional) for part, path in paths.items()}
                _refuse_shared(tables)
                return tables
    return {}


def _refuse_shared(tables: Tables) -> None:
    """A gallery template that is also a probe would be found for certain."""
    parts = [np.unique(table.integers("TEMPLATE_ID")) for table in tables.values()]
    distinct, times = np.unique(np.concatenate(parts), return_counts=True)
    if (times > 1).any():
        raise InputError(f"{folder_of(tables)}: template {distinct[times > 1][0]} is in two of the 1N files")


def folder_of(tables: Tables) -> Path:
    """The folder that the tables were read from."""
    return next(iter(tables.values())).path.parent


def column(tables: Tables, name: str) -> Ints:
    """A column of integers of all tables, one after the other."""
    return np.concatenate([table.integers(name) for table in tables.values()])


def subjects_of(templates: TemplateSet, tables: Tables) -> Ints:
    """Subjects of the templates, int64 (T,), -1 for a template that no table names. Raises InputError on two of one."""
    ids, _, owner = group_templates(column(tables, "TEMPLATE_ID"), column(tables, "SUBJECT_ID"), folder_of(tables))
    place = np.minimum(np.searchsorted(ids, templates.template_ids), len(ids) - 1)
    return np.where(ids[place] == templates.template_ids, owner[place], -1)


def searches_of(templates: TemplateSet, tables: Tables) -> tuple[Search, ...]:
    """All probes against each gallery. Raises InputError when a table names a template without images."""
    positions = {}
    for part, table in tables.items():
        try:
            positions[part] = templates.positions(np.unique(table.integers("TEMPLATE_ID")))
        except KeyError as error:
            raise InputError(f"{table.path}: no image belongs to template {error.args[0]}") from None
    return tuple(Search(part, positions[part], positions["probe"]) for part in positions if part != "probe")
