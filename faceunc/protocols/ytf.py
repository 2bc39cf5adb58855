"""YouTube Faces: pairs of videos in ten splits, and the frames of a video."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from faceunc.errors import InputError
from faceunc.protocols.pairs import PairProtocol

SPLITS = 10

_VIDEO = re.compile(r"(?P<person>[^/\\]*[^/\\.][^/\\]*)/[0-9]+")
_FRAME = re.compile(r"(?:.*\.)?(?P<number>[0-9]+)\.(?:jpe?g|png|bmp)", re.IGNORECASE)


def read_ytf(splits: Path) -> PairProtocol:
    """Read YTF's ``splits.txt``: a header, then lines ``split number, first name, second name, is same``.

    The ids of the protocol are names of videos (``Person_Name/0``). Split 1 is fold 0. The real file has ten splits of
    500 pairs. Pairs stay in the order of the file.

    Raises:
        InputError: missing file, a line that does not fit (with its number), or splits that are missing or of
            different sizes.
    """
    try:
        lines = splits.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(f"{splits}: expected YTF's splits.txt, no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{splits}: expected YTF's splits.txt in UTF-8 ({error})") from None
    if not lines or not lines[0].strip().lower().startswith("split"):
        got = lines[0][:80] if lines else "an empty file"
        raise InputError(f"{splits}, line 1: expected a header 'split number, first name, ...'. Got {got!r} instead.")
    rows = [_row(line, number, splits) for number, line in enumerate(lines[1:], 2) if line.strip()]
    fold, first, second, same = zip(*rows, strict=True) if rows else ((), (), (), ())
    sizes = np.bincount(np.array(fold, np.int64), minlength=SPLITS)
    if len(set(sizes.tolist())) != 1 or not rows:
        raise InputError(f"{splits}: expected {SPLITS} splits of one size. Got sizes {sizes.tolist()} instead.")
    people = [tuple(video.split("/")[0] for video in side) for side in (first, second)]
    return PairProtocol(first, second, np.array(same, bool), np.array(fold, np.int64), people[0], people[1])


def _row(line: str, number: int, path: Path) -> tuple[int, str, str, bool]:
    fields = [field.strip() for field in line.split(",")]
    if len(fields) == 4:
        split, first, second, same = fields
        a, b = _VIDEO.fullmatch(first), _VIDEO.fullmatch(second)
        known = split in [str(k) for k in range(1, SPLITS + 1)] and same in ("0", "1")
        if known and a and b and (a["person"] == b["person"]) == (same == "1"):
            return int(split) - 1, first, second, same == "1"
    raise InputError(
        f"{path}, line {number}: expected 'split 1..{SPLITS}, person/k, person/k, 1 or 0 as the people are the same'. "
        f"Got {line.strip()[:120]!r} instead."
    )


def video_frames(root: Path, video: str, sample: int | None) -> list[str]:
    """Frames of a video as paths relative to ``root``, by ascending frame number.

    Works for ``frame_images_DB`` (``Person/k/k.12.jpg``) and ``aligned_images_DB``
    (``Person/k/aligned_detect_k.12.jpg``): the frame is the last number of a file's name.

    Args:
        root: the folder of either.
        video: ``Person/k``.
        sample: how many evenly spaced frames to take (the middles of as many equal parts; all when there are not more
            than that), or None for all.

    Returns:
        an empty list when the video has no folder or no frame, which the caller counts as a failure to enrol.

    Raises:
        ValueError: ``sample`` below 1.
    """
    if sample is not None and sample < 1:
        raise ValueError(f"sample must be at least 1, or None. Got {sample} instead.")
    folder = root / video
    if not folder.is_dir():
        return []
    names = {path.name: match for path in folder.iterdir() if (match := _FRAME.fullmatch(path.name))}
    ordered = sorted(names, key=lambda name: (int(names[name]["number"]), name))
    if sample is not None and len(ordered) > sample:
        ordered = [ordered[(2 * part + 1) * len(ordered) // (2 * sample)] for part in range(sample)]
    return [f"{video}/{name}" for name in ordered]
