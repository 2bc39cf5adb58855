"""IJB-A's 1:1 protocol: ten splits, each with its own templates and comparisons."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from faceunc.protocols.csv_table import BOX, Columns, group_templates, pair_positions, read_columns, read_integers
from faceunc.protocols.template_set import Ints, TemplatePairs, TemplateProtocol, TemplateSet


def ijba_splits(root: Path) -> list[int]:
    """The splits that ``root`` (the folder ``IJB-A_11_sets``) holds, ascending; empty when there is none."""
    found = [re.fullmatch(r"split([1-9][0-9]*)", folder.name) for folder in root.glob("split*")]
    numbers = sorted(int(match[1]) for match in found if match)
    return [number for number in numbers if _metadata(root, number).is_file()]


def read_ijba_split(root: Path, split: int) -> TemplateProtocol:
    """Read ``split{k}/verify_metadata_{k}.csv`` and ``split{k}/verify_comparisons_{k}.csv``.

    A row is one face in one image: two rows of a template may name the same file with two boxes, and both stay. A
    template's number means something inside its split only. Images are the FILE column (``img/1.jpg``,
    ``frame/2_00060.png``), relative to IJB-A's image folder. A pair is genuine when both subjects are equal.

    Raises:
        InputError: missing file or column, a field that is no number (with its line), a comparison of an unknown
            template (with its line), a template of two subjects.
    """
    table = read_columns(_metadata(root, split), ("TEMPLATE_ID", "SUBJECT_ID", "FILE", "MEDIA_ID", *BOX))
    rows, subjects = table.integers("TEMPLATE_ID"), table.integers("SUBJECT_ID")
    ids, template, subject = group_templates(rows, subjects, table.path)
    images = tuple(table.values["FILE"])
    templates = TemplateSet(images, template, _media(table), ids, subject, box=table.boxes())
    path = root / f"split{split}" / f"verify_comparisons_{split}.csv"
    first, second = pair_positions(templates, read_integers(path, 2, ","), path)
    return TemplateProtocol(templates, TemplatePairs(first, second, subject[first] == subject[second]))


def _metadata(root: Path, split: int) -> Path:
    return root / f"split{split}" / f"verify_metadata_{split}.csv"


def _media(table: Columns) -> Ints:
    """One number for each MEDIA_ID: a still has its own, all frames of a video share one.

    Stills and videos are numbered by one series in the files seen so far. Should a split use a number for both, the
    folder (``img``, ``frame``) keeps them apart.
    """
    stills = np.array([name.startswith("img/") for name in table.values["FILE"]], np.int64)
    return 2 * table.integers("MEDIA_ID") + stills
