"""LFW's pair files: View 2 (``pairs.txt``, ten folds) and View 1 (``pairsDevTrain.txt``, ``pairsDevTest.txt``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from faceunc.errors import InputError
from faceunc.protocols.pairs import PairProtocol

_VIEW1 = "pairsDevTrain.txt and pairsDevTest.txt"


def read_pairs(path: str | Path) -> PairProtocol:
    """Read a file in the layout of LFW's ``pairs.txt``.

    Line 1 is ``folds<TAB>n`` (View 2) or ``n`` (View 1, one fold); then per fold n genuine lines ``name i j`` and n
    impostor lines ``nameA i nameB j``, in this order. No pair is ever dropped or moved. Numbers are plain digits.

    Raises:
        InputError: missing file, or a line or count that does not fit (the message names the line): an impostor pair
            of one person and a genuine pair of one photograph with itself do not.
    """
    path = Path(path)
    try:
        numbered = [(n, line.split()) for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if line.strip()]
    except FileNotFoundError:
        raise InputError(f"{path}: expected LFW's pair file, no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected LFW's pair file in UTF-8 ({error})") from None
    numbers, lines = [n for n, _ in numbered], [fields for _, fields in numbered]
    folds, per_class = _header(lines, path)
    rows = [_row(line, number, path) for number, line in zip(numbers[1:], lines[1:], strict=True)]
    same = np.array([row[2] for row in rows], bool)
    position = np.arange(len(rows))
    wrong = np.flatnonzero(same != (position // per_class % 2 == 0))
    if len(wrong):
        line = numbers[wrong[0] + 1]
        raise InputError(
            f"{path}, line {line}: each fold must hold {per_class} genuine, then {per_class} impostor pairs"
        )
    if len(rows) != 2 * folds * per_class:
        promised = f"the header promises {2 * folds * per_class} pairs"
        raise InputError(f"{path}, line {numbers[-1]}: {promised}, the file ends here with {len(rows)}")
    fold = position // (2 * per_class)
    first, second = tuple(row[0] for row in rows), tuple(row[1] for row in rows)
    return PairProtocol(first, second, same, fold, _people(first), _people(second))


def read_view1(folder: Path) -> PairProtocol:
    """View 1 as two folds: 0 is ``pairsDevTrain.txt`` (2,200 pairs), 1 is ``pairsDevTest.txt`` (1,000).

    Raises:
        InputError: as :func:`read_pairs`.
    """
    train, test = (read_pairs(folder / name) for name in ("pairsDevTrain.txt", "pairsDevTest.txt"))
    return PairProtocol(
        train.first + test.first,
        train.second + test.second,
        np.concatenate([train.same, test.same]),
        np.repeat([0, 1], [len(train), len(test)]),
        train.first_subject + test.first_subject,
        train.second_subject + test.second_subject,
    )


def _people(images: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.split("/")[0] for name in images)


def _header(lines: list[list[str]], path: Path) -> tuple[int, int]:
    fields = lines[0] if lines else []
    if not 1 <= len(fields) <= 2 or not all(_is_number(f) and int(f) > 0 for f in fields):
        got = " ".join(fields) or "an empty file"
        raise InputError(f"{path}, line 1: expected 'folds n' or 'n' (as in {_VIEW1}). Got {got!r} instead.")
    numbers = [int(field) for field in fields]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (1, numbers[0])


def _row(fields: list[str], number: int, path: Path) -> tuple[str, str, bool]:
    what = "'name i j' or 'nameA i nameB j'"
    if len(fields) in (3, 4) and _is_number(fields[1]) and _is_number(fields[-1]):
        (name_a, a), (name_b, b) = fields[:2], (fields[-2] if len(fields) == 4 else fields[0], fields[-1])
        if len(fields) == 4 and name_a == name_b:
            what = "two people"
        elif len(fields) == 3 and int(a) == int(b):
            what = "two photographs"
        elif int(a) > 0 and int(b) > 0:
            return image_id(name_a, int(a)), image_id(name_b, int(b)), len(fields) == 3
    raise InputError(f"{path}, line {number}: expected {what}. Got {' '.join(fields)[:200]!r} instead.")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def image_id(name: str, number: int) -> str:
    """LFW's file name of the ``number``-th photograph (1-based) of a person. Raises ValueError for a number below 1."""
    if number < 1:
        raise ValueError(f"number must be at least 1. Got {number} instead.")
    return f"{name}/{name}_{number:04d}.jpg"
