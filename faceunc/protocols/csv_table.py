"""Reading the tables of template protocols: named columns of a csv, and millions of lines of integers."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.protocols.template_set import Ints, TemplateSet

BOX = ("FACE_X", "FACE_Y", "FACE_WIDTH", "FACE_HEIGHT")
_FAR = 100_000  # no photograph has as many pixels a side


@dataclass(frozen=True)
class Columns:
    """Some columns of a csv file with R rows.

    Attributes:
        path: of the file. lines: the line of the file that each row stands on, R. values: the texts by column name.
    """

    path: Path
    lines: list[int]
    values: dict[str, list[str]]

    def integers(self, name: str) -> Ints:
        """A column as int64 (R,). Raises InputError naming the first line that holds something else."""
        return np.array([self._number(int, row, text, name) for row, text in enumerate(self.values[name])], np.int64)

    def boxes(self) -> NDArray[np.float32] | None:
        """x, y, width, height as float32 (R, 4), or None when a column is missing.

        Raises:
            InputError: naming the first line with something else than numbers below 100,000, or an empty box.
        """
        if any(name not in self.values for name in BOX):
            return None
        columns = [[self._number(float, row, text, name) for row, text in enumerate(self.values[name])] for name in BOX]
        boxes = np.array(columns).T
        wrong = (np.abs(boxes) >= _FAR).any(axis=1) | (boxes[:, 2:] <= 0).any(axis=1)
        if wrong.any():
            row = int(wrong.argmax())
            what = f"a box with width and height above 0, all numbers below {_FAR:,}"
            got = ", ".join(f"{value:g}" for value in boxes[row].tolist())
            raise InputError(f"{self.path}, line {self.lines[row]}: expected {what}. Got {got} instead.")
        return boxes.astype(np.float32)

    def _number(self, kind: type[int] | type[float], row: int, text: str, name: str) -> int | float:
        try:
            if abs(value := kind(text)) < 2**63:  # not so for inf, nan, and what int64 cannot hold
                return value
        except ValueError:
            pass
        what = "an integer" if kind is int else "a number"
        raise InputError(f"{self.path}, line {self.lines[row]}: expected {what} as {name}. Got {text[:80]!r} instead.")


def read_columns(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> Columns:
    """Read columns of a comma separated file by the names in its first line.

    Names are compared without case, and ``FILENAME`` counts as ``FILE``. Optional columns are left out when missing.

    Raises:
        InputError: no such file, not text, no such column, or a line with fewer fields than the column needs.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            place = _places(next(reader, []), path, required, optional)
            lines: list[int] = []
            values: dict[str, list[str]] = {name: [] for name in place}
            for row in reader:
                if not row:
                    continue
                lines.append(reader.line_num)
                for name, column in place.items():
                    if column >= len(row):
                        raise InputError(f"{path}, line {lines[-1]}: expected {name} in field {column + 1}")
                    values[name].append(row[column].strip())
    except FileNotFoundError:
        raise InputError(f"{path}: expected a csv file with {', '.join(required)}, no such file") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a csv file in UTF-8 ({error})") from None
    if not lines:
        raise InputError(f"{path}: expected at least one line after the header")
    return Columns(path, lines, values)


def _places(header: list[str], path: Path, required: Sequence[str], optional: Sequence[str]) -> dict[str, int]:
    names = [name.strip().lstrip("\ufeff").upper() for name in header]
    names = ["FILE" if name == "FILENAME" else name for name in names]
    missing = [name for name in required if name not in names]
    if missing:
        got = ", ".join(header)[:200]
        raise InputError(f"{path}, line 1: expected the columns {', '.join(missing)}. Got {got!r} instead.")
    return {name: names.index(name) for name in (*required, *optional) if name in names}


def read_integers(path: Path, columns: int, delimiter: str | None) -> NDArray[np.int32]:
    """A file of nothing but ``columns`` integers a line, int32 (R, columns); ten million lines take a second.

    Args:
        delimiter: between the integers; None is any white space.

    Raises:
        InputError: no such file, or the first line that is something else.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which the shape tells
            rows = np.loadtxt(path, np.int32, comments=None, delimiter=delimiter, ndmin=2, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: expected a file with {columns} integers a line, no such file") from None
    except OSError as error:
        raise InputError(f"{path}: expected a file with {columns} integers a line ({error.strerror})") from None
    except ValueError as error:
        _blame(path, columns, delimiter, str(error))
    if rows.shape[1] != columns or not len(rows):
        _blame(path, columns, delimiter, "the file is empty")
    return rows


def _blame(path: Path, columns: int, delimiter: str | None, reason: str) -> NoReturn:
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            fields = [field.strip() for field in line.split(delimiter)]
            if line.strip() and not (len(fields) == columns and all(map(_is_int32, fields))):
                got = line.strip()[:80]
                raise InputError(f"{path}, line {number}: expected {columns} integers. Got {got!r} instead.")
    raise InputError(f"{path}: expected {columns} integers a line ({reason})")


def _is_int32(text: str) -> bool:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isascii() and digits.isdecimal() and len(digits) < 1000 and -(2**31) <= int(text) < 2**31


def line_of(path: Path, row: int) -> int:
    """The line on which a row of :func:`read_integers` stands (blank lines are no rows)."""
    with open(path, encoding="utf-8") as file:
        lines = (number for number, text in enumerate(file, 1) if text.strip())
        return next(islice(lines, row, None))


def pair_positions(templates: TemplateSet, pairs: NDArray[np.int32], path: Path) -> tuple[Ints, Ints]:
    """Positions of the two templates of each pair, int64 (P,) each, from a file's first two columns.

    Raises:
        InputError: naming the first pair of a template that is not in the set.
    """
    try:
        return templates.positions(pairs[:, 0]), templates.positions(pairs[:, 1])
    except KeyError:
        known = np.isin(pairs[:, :2], templates.template_ids)
    row = int(np.flatnonzero(~known.all(axis=1))[0])
    name = int(pairs[row, :2][~known[row]][0])
    raise InputError(f"{path}, line {line_of(path, row)}: template {name} is compared, and no image belongs to it")


def group_templates(rows: Ints, subject: Ints, where: Path) -> tuple[Ints, Ints, Ints]:
    """Templates of R rows: their numbers ascending (T,), the position of each row's template (R,), subjects (T,).

    Raises:
        InputError: when a template has rows of two subjects; ``where`` is the file to name.
    """
    ids, first, template = np.unique(rows, return_index=True, return_inverse=True)
    owner = subject[first]
    wrong = np.flatnonzero(owner[template] != subject)
    if len(wrong):
        number, a, b = rows[wrong[0]], owner[template[wrong[0]]], subject[wrong[0]]
        raise InputError(f"{where}: template {number} has two subjects, {a} and {b}")
    return ids, template.astype(np.int64), owner
