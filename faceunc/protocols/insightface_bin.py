"""insightface's verification sets (``lfw.bin``, ``cfp_fp.bin``, ``agedb_30.bin``): a pickle of images and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.protocols.pairs import PairProtocol
from faceunc.protocols.plain_pickle import PlainArray, load_plain

FOLDS = 10
MAX_BYTES = 2 << 30

Image = bytes | NDArray[np.uint8]


@dataclass(frozen=True)
class BinProtocol:
    """The images of a ``.bin`` file, and their pairs.

    Attributes:
        images: 2N images, each an encoded file (bytes), or uint8 (H, W, 3) as stored.
        pairs: N pairs; the ids are rows of ``images`` in six digits, pair k compares rows 2k and 2k + 1.
    """

    images: list[Image]
    pairs: PairProtocol


def read_bin(path: Path) -> BinProtocol:
    """Read a pickle ``(bins, issame)``; none of its instructions is obeyed but those that make bytes, arrays and bools.

    Folds are ten blocks of pairs that follow each other, as in insightface's own evaluation (the first ones longer by
    a pair when ten does not divide N). The file names no people. A one-dimensional uint8 array is an encoded file.

    Raises:
        InputError: missing file, more than 2 GiB, a pickle with anything else in it (the message says what was
            refused), or parts that do not fit each other.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: expected at most {MAX_BYTES} bytes. Got {size} instead.")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected a .bin file of insightface, no such file") from None
    except OSError as error:
        raise InputError(f"{path}: expected a .bin file of insightface ({error.strerror})") from None
    content = load_plain(data, path)
    if not isinstance(content, tuple | list) or len(content) != 2 or not isinstance(content[0], tuple | list):
        raise InputError(f"{path}: expected a pickle of two parts, a list of images and their labels")
    bins, labels = content
    same = _labels(labels, path)
    if len(bins) != 2 * len(same) or len(same) < FOLDS:
        got = f"Got {len(bins)} images and {len(same)} labels instead."
        raise InputError(f"{path}: expected two images for each of at least {FOLDS} labels. {got}")
    if sum(_bytes_of(image) for image in bins) > size:
        raise InputError(f"{path}: expected images of their own, got some that are listed again and again")
    images = [_image(image, row, path) for row, image in enumerate(bins)]
    names = [f"{row:06d}" for row in range(len(images))]
    blocks = np.array_split(np.arange(len(same)), FOLDS)
    fold = np.repeat(np.arange(FOLDS), [len(block) for block in blocks]).astype(np.int64)
    return BinProtocol(images, PairProtocol(tuple(names[::2]), tuple(names[1::2]), same, fold))


def _bytes_of(image: object) -> int:
    raw = image.raw if isinstance(image, PlainArray) else image
    return len(raw) if isinstance(raw, bytes) else 0


def _labels(labels: object, path: Path) -> NDArray[np.bool_]:
    if isinstance(labels, PlainArray) and labels.code == "b1" and len(labels.shape) == 1:
        return labels.array().astype(bool)
    if isinstance(labels, tuple | list) and all(type(label) is bool for label in labels):
        return np.array(labels, bool)
    raise InputError(f"{path}: expected the second part to be a list of booleans")


def _image(image: object, row: int, path: Path) -> Image:
    if isinstance(image, bytes):
        return image  # even an empty one: a broken image fails to enrol, and is no reason to refuse the others
    if isinstance(image, PlainArray) and image.code == "u1" and image.raw:
        if len(image.shape) == 1:
            return image.raw
        if len(image.shape) == 3 and image.shape[2] == 3:
            return image.array()
    got = f"{image.code} array {image.shape}" if isinstance(image, PlainArray) else type(image).__name__
    raise InputError(f"{path}: expected image {row} to be bytes or uint8 (H, W, 3). Got {got[:80]} instead.")
