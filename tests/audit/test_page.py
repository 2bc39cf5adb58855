"""The page: one file without network or script, whatever the names of photographs look like."""

from __future__ import annotations

import io
from collections.abc import Callable
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from faceunc.audit.collect import Audit
from faceunc.audit.html import MOST_ROWS, page
from faceunc.audit.limits import Limit
from faceunc.audit.sheets import SIDE, Tile, encoded, sheet, thumbnail, wrap
from faceunc.audit.summary import summarise
from faceunc.photo_batches import Failure

MakeAudit = Callable[..., Audit]

ODD = '<script>alert("x")</script>&amp; \udcff.jpg'


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_odd_names_are_shown_and_not_run(make_audit: MakeAudit) -> None:
    one = make_audit([0.1] * 3)
    one.person[:] = [ODD, ODD, ""]
    one.failures.append(Failure(ODD, "no_face", f"{ODD}: no face"))
    names = [ODD, "b.jpg", "c.jpg"]
    odd = type(one)(
        type(one.embeddings)(one.embeddings.mean, one.embeddings.log_var, names, None, {"head": "<b>"}),
        one.quality,
        [ODD] * 3,
        one.person,
        one.failures,
        [ODD],
    )
    figures = summarise(odd, Limit(0.05, "by <hand>"))
    picture = encoded(thumbnail(np.zeros((20, 20, 3), np.uint8)))
    text = page(figures, {"log_var": picture}, {ODD: picture}, ODD, [ODD])
    seen = Tags(text.encode("utf-8").decode("utf-8"))
    assert "script" not in seen.tags
    assert "b" not in [tag for tag in seen.tags if tag == "b"][1:]
    assert seen.words.count(ODD.replace("\udcff", "\ufffd")) >= 6
    assert len(seen.sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in seen.sources)
    assert "http" not in text


def test_long_tables_are_bounded(make_audit: MakeAudit) -> None:
    figures = summarise(make_audit([0.1 + number for number in range(300)]), Limit(0.05, "by hand"))
    text = page(figures, {}, {}, "title")
    assert f"The first {MOST_ROWS} of 300" in text
    assert text.count("<tr>") < 3 * MOST_ROWS
    assert len(figures["poor"]) == 300


@pytest.mark.parametrize(("tiles", "columns", "rows"), [(0, 4, 1), (4, 4, 1), (9, 4, 3)])
def test_sheet(tiles: int, columns: int, rows: int) -> None:
    chip = np.full((150, 150, 3), (255, 0, 0), np.uint8)
    picture = sheet(wrap("title", [Tile(chip if i % 2 == 0 else None, str(i)) for i in range(tiles)], columns))
    assert picture.height % rows == 0
    assert picture.width >= min(tiles, columns) * SIDE
    pixels = np.asarray(Image.open(io.BytesIO(encoded(picture, "PNG"))))
    red = (pixels == (255, 0, 0)).all(axis=-1).sum()
    assert red == (tiles + 1) // 2 * SIDE**2
