"""Whatever a file holds, read_image gives RGB uint8 or an ImageError of the right kind."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from faceunc.errors import FAILURE_KINDS, ImageError
from faceunc.images.read import as_rgb, read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners() -> NDArray[np.uint8]:
    """16 rows x 24 columns: red, green / blue, white quarters; every orientation looks different."""
    image = np.zeros((16, 24, 3), np.uint8)
    image[:8, :12], image[:8, 12:], image[8:, :12], image[8:, 12:] = RED, GREEN, BLUE, WHITE
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds one compressed byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def kind_of(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)
    return caught.value.kind


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, 1)),
        (7, lambda a: a[::-1, ::-1].transpose(1, 0, 2)),
        (8, lambda a: np.rot90(a, -1)),
    ],
)
def test_exif_orientation(orientation: int, undo: Any, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(undo(corners()))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), corners())


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\0\0"])
def test_damaged_exif_is_no_reason_to_refuse(exif: bytes, tmp_path: Path) -> None:
    Image.fromarray(corners()).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (16, 24, 3)


def test_grey(tmp_path: Path) -> None:
    grey = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.dstack([grey] * 3))


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    grey = np.linspace(0, 65535, 16 * 24).astype(np.uint16).reshape(16, 24)
    Image.fromarray(grey).save(tmp_path / "a.png")
    expected = np.rint(grey / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.dstack([expected] * 3))


@pytest.mark.parametrize("top", [1.0, 255.0, 65535.0])
def test_float_tiff(top: float, tmp_path: Path) -> None:
    values = np.linspace(0, top, 16 * 24).astype(np.float32).reshape(16, 24)
    Image.fromarray(values).save(tmp_path / "a.tif")
    image = read_image(tmp_path / "a.tif")
    assert (image.min(), image.max()) == (0, 255)


def test_rgba_lies_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((16, 24, 4), np.uint8)
    rgba[:8] = (*RED, 255)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert (image[:8] == RED).all()
    assert (image[8:] == WHITE).all()


def test_palette_with_transparency_lies_on_white(tmp_path: Path) -> None:
    palette = Image.fromarray(np.repeat(np.array([[0], [1]], np.uint8), 8, 0).repeat(24, 1), "P")
    palette.putpalette([*BLUE, *GREEN])
    palette.save(tmp_path / "a.png", transparency=1)
    image = read_image(tmp_path / "a.png")
    assert (image[:8] == BLUE).all()
    assert (image[8:] == WHITE).all()


def test_cmyk(tmp_path: Path) -> None:
    Image.new("CMYK", (24, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.shape == (16, 24, 3)
    assert np.abs(image.astype(int) - RED).max() < 12


def test_wrong_ending_is_read_by_content(tmp_path: Path) -> None:
    Image.fromarray(corners()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.jpg")), corners())


@pytest.mark.parametrize("content", [b"", b"this is not a photograph\n" * 20, b"\0" * 100])
def test_not_an_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    assert kind_of(tmp_path / "a.jpg") == "not_an_image"


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated(suffix: str, share: float, tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(astronaut[:200, :200]).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert kind_of(path) == "truncated"


@pytest.mark.parametrize(("side", "kind"), [(1, "too_small"), (7, "too_small"), (8, None)])
def test_small_sides(side: int, kind: str | None, tmp_path: Path) -> None:
    Image.new("RGB", (side, 30)).save(tmp_path / "a.png")
    if kind is None:
        assert read_image(tmp_path / "a.png").shape == (30, side, 3)
    else:
        assert kind_of(tmp_path / "a.png") == kind


@pytest.mark.parametrize("size", [(20_000, 20_000), (11_000, 11_000), (2**31 - 1, 1), (1, 2**31 - 1)])
def test_hostile_header(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(*size))
    assert kind_of(tmp_path / "a.png") == "too_large"


def test_large_but_allowed_header_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_header(64, 64))
    assert kind_of(tmp_path / "a.png") == "truncated"


def test_places_without_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert kind_of(tmp_path / "none.jpg") == "missing"
    assert kind_of(tmp_path / "file" / "a.jpg") == "missing"
    assert kind_of(tmp_path) == "unreadable"
    assert kind_of(tmp_path / ("x" * 300)) == "unreadable"


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6))
@pytest.mark.parametrize("suffix", ["png", "jpeg", "gif", "webp", "tiff", "bmp"])
def test_damaged_bytes_raise_nothing_else(
    suffix: str, changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    buffer = BytesIO()
    Image.fromarray(corners()).save(buffer, suffix)
    data = bytearray(buffer.getvalue())
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    path.write_bytes(data)
    try:
        image = read_image(path)
    except ImageError as error:
        assert error.kind in FAILURE_KINDS  # noqa: PT017
    else:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


@pytest.mark.parametrize("shape", [(16, 24), (16, 24, 1), (16, 24, 3), (16, 24, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_accepted_arrays(shape: tuple[int, ...], dtype: Any) -> None:
    full = np.iinfo(dtype).max
    image = as_rgb(np.full(shape, full, dtype))
    assert image.shape == (16, 24, 3)
    assert image.dtype == np.uint8
    assert (image == 255).all()


def test_array_channels_keep_their_places() -> None:
    np.testing.assert_array_equal(as_rgb(corners()), corners())
    np.testing.assert_array_equal(as_rgb(corners()[:, ::-1]), corners()[:, ::-1])
    np.testing.assert_array_equal(as_rgb(corners().astype(np.uint16) * 257), corners())
    transparent = np.dstack([corners(), np.zeros((16, 24), np.uint8)])
    assert (as_rgb(transparent) == 255).all()


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (np.zeros((16, 24, 2), np.uint8), "not_an_image"),
        (np.zeros((16, 24, 5), np.uint8), "not_an_image"),
        (np.zeros((3, 16, 24), np.uint8), "not_an_image"),
        (np.zeros((1, 16, 24, 3), np.uint8), "not_an_image"),
        (np.zeros(16, np.uint8), "not_an_image"),
        (np.zeros((16, 24, 3), np.float32), "not_an_image"),
        (np.zeros((16, 24, 3), np.int64), "not_an_image"),
        (np.zeros((16, 24), bool), "not_an_image"),
        (np.zeros((0, 0, 3), np.uint8), "too_small"),
        (np.zeros((7, 24, 3), np.uint8), "too_small"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000)), "too_large"),
    ],
)
def test_refused_arrays(array: NDArray[Any], kind: str) -> None:
    with pytest.raises(ImageError, match="probe") as caught:
        as_rgb(array, "probe")
    assert caught.value.kind == kind


def test_unknown_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="kind must be"):
        ImageError("other", "text")


def test_warning_filters_of_the_process_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs are read in threads: filters changed there and restored out of turn hide the warnings of others."""
    path = tmp_path / "corners.png"
    Image.fromarray(corners()).save(path)
    seen: list[list[Any]] = []

    def opened(*args: Any) -> Image.Image:
        seen.append(list(warnings.filters))
        return original(*args)

    original = Image.open
    before = list(warnings.filters)
    monkeypatch.setattr(Image, "open", opened)
    read_image(path)
    assert seen == [before]
