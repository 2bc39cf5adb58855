"""MegaFace's files: features, lists of images, and the two conventions ("raw" and "cleaned") that share a name.

The identification rate of one and the same model is 78.95 by the raw lists and about 98% by the "cleaned" ones, since
some distractors show people of the probe set, and some probes are mislabelled. Numbers of the two conventions are
about different tasks and must never stand in one table, so a reader has to be told which one is meant, and the
protocol carries it. The usual cleaning code REPAIRS the features of noisy images, with the labels that are under test
(a noisy probe becomes its person's mean plus noise). Here a noisy image is left out and counted, and no feature is
ever changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.storage import atomic_write

Convention = Literal["raw", "cleaned"]

_HEADER = (1, 4, 5)  # columns, bytes a number, and OpenCV's code of float32


@dataclass(frozen=True)
class MegaFaceProtocol:
    """Probes that are searched among each other's mates and distractors.

    Attributes:
        probe_paths, probe_ids: image and person of each probe, P. distractor_paths: images, M.
        convention: "raw" or "cleaned"; results of the two are not comparable.
        noisy_probes, noisy_distractors: how many were left out as noisy (0 in "raw").
        unmatched_noise: lines of the two noise lists that name no listed image.
    """

    probe_paths: tuple[str, ...]
    probe_ids: tuple[str, ...]
    distractor_paths: tuple[str, ...]
    convention: Convention
    noisy_probes: int = 0
    noisy_distractors: int = 0
    unmatched_noise: int = 0


def read_megaface(
    probes: Path,
    distractors: Path,
    convention: Convention,
    probe_noise: Path | None = None,
    distractor_noise: Path | None = None,
) -> MegaFaceProtocol:
    """Read the lists of probes and distractors.

    Args:
        probes: JSON with ``path`` and ``id``. distractors: JSON with ``path``.
        convention: "raw" takes every image; "cleaned" leaves out those that the noise lists name.
        probe_noise, distractor_noise: text, one image a line (a path as in the list, or a bare file name; lines with
            ``#`` are comments). As in insightface's lists, the name is the second field of a line with tabs.
            "cleaned" needs both, "raw" refuses them.

    Raises:
        InputError: a list that does not fit, or noise lists that do not fit the convention or the images: more than
            half of a list's lines name no image, or a bare file name stands for several.
    """
    if convention not in ("raw", "cleaned"):
        raise InputError(f"convention must be raw or cleaned. Got {convention!r} instead.")
    paths, ids = read_list(probes)
    others, _ = read_list(distractors)
    if not ids:
        raise InputError(f"{probes}: expected an array 'id' beside 'path', probes need their people")
    if convention == "raw":
        if probe_noise is not None or distractor_noise is not None:
            raise InputError("the raw convention takes no noise list; ask for cleaned to leave noisy images out")
        return MegaFaceProtocol(paths, ids, others, "raw")
    if probe_noise is None or distractor_noise is None:
        raise InputError("the cleaned convention needs two noise lists, of the probes and of the distractors")
    kept, unmatched = _clean(paths, probe_noise)
    rest, unmatched_others = _clean(others, distractor_noise)
    return MegaFaceProtocol(
        probe_paths=tuple(paths[row] for row in kept),
        probe_ids=tuple(ids[row] for row in kept),
        distractor_paths=tuple(others[row] for row in rest),
        convention="cleaned",
        noisy_probes=len(paths) - len(kept),
        noisy_distractors=len(others) - len(rest),
        unmatched_noise=unmatched + unmatched_others,
    )


def _clean(paths: Sequence[str], noise: Path) -> tuple[list[int], int]:
    """Rows of the images that a noise list does not name, and how many of its lines name no image."""
    known = set(paths)
    by_name: dict[str, set[str]] = {}
    for path in known:
        by_name.setdefault(path.rsplit("/", 1)[-1], set()).add(path)
    noisy: set[str] = set()
    unmatched: list[int] = []
    total = 0
    for number, line in enumerate(_text(noise, "a list of noisy images").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        total += 1
        fields = line.strip().split("\t")
        name = fields[1].strip() if len(fields) > 1 else fields[0]
        matches = by_name.get(name, set()) if "/" not in name else {name} & known
        if len(matches) > 1:
            raise InputError(f"{noise}, line {number}: {name[:80]!r} names {len(matches)} images, give its path")
        if not matches:
            unmatched.append(number)
        noisy |= matches
    if not total:
        raise InputError(f"{noise}: expected a list of noisy images, it names none")
    if 2 * len(unmatched) > total:
        got = f"{len(unmatched)} of its {total} lines name none of the {len(paths)} listed images"
        raise InputError(f"{noise}, line {unmatched[0]}: expected a listed image, {got}")
    return [row for row, path in enumerate(paths) if path not in noisy], len(unmatched)


def _text(path: Path, what: str) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: expected {what}, no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected {what} in UTF-8 ({error})") from None


def read_list(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Images and people of a list: JSON with the arrays ``path`` and ``id`` (which distractors may lack: then empty).

    Raises:
        InputError: no such file, not JSON (with its line), or arrays that do not fit.
    """
    try:
        content = json.loads(_text(path, "a JSON list of images"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: expected JSON with 'path' and 'id' ({error.msg})") from None
    except RecursionError:
        raise InputError(f"{path}: expected JSON with 'path' and 'id', got deeply nested brackets") from None
    paths = content.get("path") if isinstance(content, dict) else None
    if not isinstance(paths, list) or not paths or not all(isinstance(name, str) for name in paths):
        raise InputError(f"{path}: expected JSON with an array 'path' of at least one image")
    ids = content.get("id", [])
    if (
        not isinstance(ids, list)
        or not all(type(name) in (str, int) for name in ids)
        or len(ids) not in (0, len(paths))
    ):
        raise InputError(f"{path}: expected 'id' to be an array of {len(paths)} names, one for each path")
    return tuple(paths), tuple(map(str, ids))


def read_feature(path: Path) -> NDArray[np.float32]:
    """One feature file, float32 (n,): four little-endian int32 (n, 1, 4, 5), then n float32.

    Raises:
        InputError: missing file, another header, another size than the header promises, or a value that is not finite.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: expected a MegaFace feature, no such file") from None
    except OSError as error:
        raise InputError(f"{path}: expected a MegaFace feature ({error.strerror})") from None
    header = np.frombuffer(data[:16], "<i4") if len(data) >= 16 else np.zeros(4, np.int32)
    count = int(header[0])
    if count < 1 or tuple(header[1:].tolist()) != _HEADER:
        got = header.tolist() if len(data) >= 16 else f"{len(data)} bytes"
        raise InputError(f"{path}: expected a MegaFace feature, which begins with n, 1, 4, 5. Got {got} instead.")
    if len(data) != 16 + 4 * count:
        raise InputError(f"{path}: expected {16 + 4 * count} bytes for {count} numbers. Got {len(data)} instead.")
    feature = np.frombuffer(data, "<f4", offset=16).astype(np.float32)
    if not np.isfinite(feature).all():
        raise InputError(f"{path}: expected finite numbers only")
    return feature


def write_feature(path: Path, feature: NDArray[np.floating]) -> None:
    """Write a feature (n,) in MegaFace's format, whole or not at all. Raises OutputError, ValueError on a shape."""
    if feature.ndim != 1 or not len(feature):
        raise ValueError(f"feature must be (n,), not empty. Got {feature.shape} instead.")
    header = np.array([len(feature), *_HEADER], "<i4")
    atomic_write(path, header.tobytes() + feature.astype("<f4").tobytes())


def read_features(root: Path, names: Sequence[str], suffix: str) -> NDArray[np.float32]:
    """Features of N images, float32 (N, D), from the files ``root/<name><suffix>``.

    Raises:
        InputError: as :func:`read_feature`, or when one has another length than the first.
    """
    if not names:
        raise InputError(f"{root}: expected at least one name of a feature file")
    first = read_feature(root / f"{names[0]}{suffix}")
    features = np.empty((len(names), len(first)), np.float32)
    for row, name in enumerate(names):
        feature = read_feature(root / f"{name}{suffix}")
        if len(feature) != len(first):
            raise InputError(f"{root / name}{suffix}: expected {len(first)} numbers as before. Got {len(feature)}.")
        features[row] = feature
    return features
