"""Read one photograph, whatever its mode, as RGB uint8; every failure has a kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from faceunc.errors import ImageError
from faceunc.progress import bar
from faceunc.storage import output_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_PIXELS = 100_000_000
MIN_SIDE = 8
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".gif")


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Return the photograph as RGB uint8 of shape (H, W, 3), upright (EXIF orientation applied).

    Grey, palette, RGBA (transparency over white), CMYK and 16-bit images are converted. The size is read from the
    header before anything is decoded, so a hostile header cannot exhaust the memory. What Pillow has to warn of (a
    damaged EXIF block, a very large image) comes as a Python warning: filters are the whole process's, and changing
    them here, in a thread of a pool, would lose the warnings of others. The command line turns them off.

    Raises:
        ImageError: with the kind ``missing``, ``unreadable``, ``not_an_image``, ``truncated``, ``too_large`` (more
            than 100 megapixels) or ``too_small`` (a side below 8 pixels).
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            _check_size(image.size, path)
            return _to_rgb(image)
    except (ImageError, MemoryError):
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("missing", f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise ImageError("not_an_image", f"{path}: expected an image file, got {_first_bytes(path)}") from None
    except Image.DecompressionBombError as error:
        raise ImageError("too_large", f"{path}: expected at most {MAX_PIXELS:,} pixels ({error})") from None
    except Exception as error:  # decoders of foreign bytes raise nearly anything
        if isinstance(error, OSError) and error.errno is not None:  # the system's word, not a decoder's
            raise ImageError("unreadable", f"{path}: {error.strerror}") from None
        raise ImageError("truncated", f"{path}: damaged or truncated image ({error})") from None


def as_rgb(array: NDArray[np.generic], name: str = "image") -> NDArray[np.uint8]:
    """Return an array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), uint8 or uint16, as RGB uint8 (H, W, 3).

    Raises:
        ImageError: for another shape or type, or a side below 8 pixels.
    """
    array = np.asarray(array)
    if array.dtype == np.uint16:
        array = (array.astype(np.uint16) >> 8).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        got = f"{array.dtype} {array.shape}"
        raise ImageError("not_an_image", f"{name}: expected uint8 or uint16 (H, W[, 1, 3 or 4]), got {got}")
    _check_size((array.shape[1], array.shape[0]), name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return _to_rgb(Image.fromarray(array))


def _check_size(size: Sequence[int], name: str | Path) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise ImageError("too_large", f"{name}: {width} x {height} pixels, expected at most {MAX_PIXELS:,} in all")
    if min(width, height) < MIN_SIDE:
        raise ImageError("too_small", f"{name}: {width} x {height} pixels, expected at least {MIN_SIDE} a side")


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    ImageOps.exif_transpose(image, in_place=True)  # a photograph that is upright already is not copied
    upright = image
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _wide_to_grey(upright)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        over = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.asarray(upright if upright.mode == "RGB" else upright.convert("RGB"))


def _wide_to_grey(image: Image.Image) -> Image.Image:
    """16-bit (or wider) grey to 8-bit: integers are taken as 0..65535, floats as 0..1 when they fit in it."""
    values = np.asarray(image).astype(np.float64)
    top = 1.0 if image.mode == "F" and values.max(initial=0.0) <= 1.0 else 65535.0
    if image.mode == "F" and top > 1.0 and values.max() <= 255.0:
        top = 255.0
    return Image.fromarray(np.clip(values / top * 255.0, 0, 255).round().astype(np.uint8))


def _first_bytes(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return "an unreadable file"
    return f"a file that begins with {head!r}" if head else "an empty file"


def unpack_images(images: Sequence[bytes | NDArray[np.uint8]], folder: Path, show: bool | None = None) -> list[str]:
    """Write images that came inside another file as files of their own, ``000000.img`` and so on; return the names.

    Encoded ones keep their bytes; arrays (H, W, 3), RGB, become PNG. What is there already is not written again.

    Raises:
        OutputError: when the folder cannot be written.
    """
    names = [f"{row:06d}.img" for row in range(len(images))]
    done = folder / "complete"
    if done.is_file():
        return names
    with output_errors(folder), bar("unpack", len(images), show=show) as progress:
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in zip(names, images, strict=True):
            if isinstance(image, bytes):
                (folder / name).write_bytes(image)
            else:
                Image.fromarray(image).save(folder / name, format="png")
            progress.update(1)
        done.touch()
    return names
