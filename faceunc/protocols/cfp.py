"""CFP (celebrities in frontal and profile views): frontal to profile (FP) and frontal to frontal (FF) pairs."""

from __future__ import annotations

import posixpath
from pathlib import Path

import numpy as np

from faceunc.errors import InputError
from faceunc.protocols.pairs import PairProtocol

FOLDS = 10


def read_cfp(root: Path, kind: str) -> PairProtocol:
    """Read the ten splits of CFP; each holds its genuine pairs, then its impostor pairs (350 + 350 in the real set).

    An image is named by its path from ``root``, ``Data/Images/001/frontal/01.jpg``; its person is the folder ``001``.

    Args:
        root: the folder that holds ``Protocol`` and ``Data``.
        kind: "FP" (first frontal, second profile) or "FF".

    Raises:
        InputError: a missing file, a line that does not fit (with its number), an image that the list does not have, a
            pair whose people contradict its file, or splits of different sizes.
    """
    if kind not in ("FP", "FF"):
        raise InputError(f"kind must be FP or FF. Got {kind!r} instead.")
    lists = [_images(root / "Protocol" / f"Pair_list_{letter}.txt") for letter in (kind if kind == "FP" else "F")]
    first_list, second_list = lists[0], lists[-1]
    rows: list[tuple[str, str, bool, int]] = []
    per_file = 0
    for fold in range(FOLDS):
        for name in ("same", "diff"):
            path = root / "Protocol" / "Split" / kind / f"{fold + 1:02d}" / f"{name}.txt"
            pairs = _pairs(path, first_list, second_list, name == "same")
            per_file = per_file or len(pairs)
            if len(pairs) != per_file or not pairs:
                raise InputError(f"{path}: expected {per_file or 350} pairs as in the other splits, found {len(pairs)}")
            rows += [(a, b, name == "same", fold) for a, b in pairs]
    first, second, same, folds = zip(*rows, strict=True)
    people = [tuple(_person(image) for image in side) for side in (first, second)]
    return PairProtocol(first, second, np.array(same, bool), np.array(folds, np.int64), people[0], people[1])


def _person(image: str) -> str:
    return image.split("/")[-3]


def _lines(path: Path, what: str) -> list[tuple[int, str]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: expected {what}, no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected {what} in UTF-8 ({error})") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _index(text: str) -> int:
    """A number from 1 on, or 0 when the text is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _images(path: Path) -> dict[int, str]:
    """The images of ``Pair_list_F.txt`` or ``Pair_list_P.txt`` by their 1-based numbers."""
    images: dict[int, str] = {}
    for number, line in _lines(path, "CFP's list of images"):
        index, _, name = line.partition(" ")
        image = posixpath.normpath(posixpath.join("Protocol", name.strip()))
        if _index(index) == 0 or _index(index) in images or image.startswith(("..", "/")) or image.count("/") < 3:
            raise InputError(
                f"{path}, line {number}: expected 'index ../Data/Images/person/view/file', each index once. "
                f"Got {line[:80]!r} instead."
            )
        images[_index(index)] = image
    return images


def _pairs(path: Path, first: dict[int, str], second: dict[int, str], same: bool) -> list[tuple[str, str]]:
    pairs = []
    for number, line in _lines(path, "CFP's pairs"):
        fields = [_index(field) for field in line.split(",")]
        if len(fields) != 2 or fields[0] not in first or fields[1] not in second:
            sizes = f"1..{len(first)} and 1..{len(second)}"
            raise InputError(f"{path}, line {number}: expected 'a,b' in {sizes}. Got {line[:80]!r} instead.")
        a, b = first[fields[0]], second[fields[1]]
        if (_person(a) == _person(b)) != same:
            expected = "one person" if same else "two people"
            raise InputError(f"{path}, line {number}: expected images of {expected}. Got {a} and {b} instead.")
        pairs.append((a, b))
    return pairs
