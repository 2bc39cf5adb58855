"""Contact sheets: small pictures of faces in rows, each with a line of text below it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIDE = 96
_LINE, _GAP, _HEAD = 16, 4, 26


@dataclass(frozen=True)
class Tile:
    """One face, RGB uint8 (S, S, 3) or None when its photograph is gone, and its caption."""

    chip: NDArray[np.uint8] | None
    caption: str


def sheet(rows: Sequence[tuple[str, Sequence[Tile]]]) -> Image.Image:
    """A picture with a titled band of tiles for every row; as wide as the longest row."""
    columns = max((len(tiles) for _, tiles in rows), default=1)
    tall = SIDE + _LINE + _GAP
    picture = Image.new("RGB", (columns * (SIDE + _GAP) + _GAP, len(rows) * (tall + _HEAD)), "white")
    draw = ImageDraw.Draw(picture)
    title, small = ImageFont.load_default(14), ImageFont.load_default(11)
    for number, (text, tiles) in enumerate(rows):
        top = number * (tall + _HEAD)
        draw.text((_GAP, top + 6), text, fill="black", font=title)
        for column, tile in enumerate(tiles):
            left = _GAP + column * (SIDE + _GAP)
            if tile.chip is None:
                draw.rectangle((left, top + _HEAD, left + SIDE - 1, top + _HEAD + SIDE - 1), outline="grey")
            else:
                picture.paste(thumbnail(tile.chip), (left, top + _HEAD))
            draw.text((left + 2, top + _HEAD + SIDE + 1), tile.caption, fill="black", font=small)
    return picture


def wrap(title: str, tiles: Sequence[Tile], columns: int) -> list[tuple[str, Sequence[Tile]]]:
    """Tiles as rows of so many, the first with the title."""
    starts = range(0, max(len(tiles), 1), columns)
    return [(title if start == 0 else "", tiles[start : start + columns]) for start in starts]


def thumbnail(chip: NDArray[np.uint8]) -> Image.Image:
    """The face at the side of a tile."""
    return Image.fromarray(chip).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def encoded(picture: Image.Image, kind: str = "JPEG") -> bytes:
    """The picture as a file: "JPEG" (quality 85) or "PNG"."""
    data = io.BytesIO()
    picture.save(data, kind, quality=85)
    return data.getvalue()
