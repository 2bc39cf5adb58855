"""Tables of all detectors for ``speed_extraction.py``: speed, and whether they find the same faces.

All tables of a file are measured one by one (``--table sizes``, ``full-largest``, ``full-central``, ``hard``): none
takes more than five minutes on two cores.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from speed_extraction_peers import BATCH, plain_detector
from tabulate import tabulate

from faceunc.images.degrade import degrade, draw_degradation
from faceunc.images.detect import DETECTORS, SELECTIONS, Detection, FaceDetector
from faceunc.images.detect_agreement import compare_detections
from faceunc.images.read import read_image
from faceunc.progress import bar

SIZES = (20, 40, 60, 80)
TURNS = 3
PLAIN = "plain MTCNN"
PART = 400  # photographs in memory at a time
Pixels = NDArray[np.uint8]
Rows = list[dict[str, Any]]


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """``count`` of these, evenly over the whole."""
    return [paths[int(place)] for place in np.linspace(0, len(paths) - 1, min(count, len(paths)))]


def detector_table(photos: Sequence[Pixels], sizes: Sequence[int] = SIZES) -> Rows:
    """Every detector at every smallest face: speed, and agreement with plain MTCNN at the same one."""
    rows: Rows = []
    for size in sizes:
        detectors: dict[str, Callable[[Sequence[Pixels]], list[Detection | None]]] = {PLAIN: plain_detector(size)}
        detectors |= {kind: FaceDetector(min_face_size=size, kind=kind) for kind in DETECTORS}
        for detector in detectors.values():
            detector(photos[:BATCH])
        found: dict[str, list[Detection | None]] = {}
        seconds: dict[str, list[float]] = {name: [] for name in detectors}
        for _ in range(TURNS):
            for name, detector in detectors.items():
                start = time.perf_counter()
                found[name] = detector(photos)
                seconds[name].append(time.perf_counter() - start)
        for name, times in seconds.items():
            seen = _seen(found[name]) if name == PLAIN else _against(found[PLAIN], found[name])
            rows.append({"detector": name, "min face": size, "images/s": len(photos) / median(times), **seen})
    return rows


def sizes_table(paths: Sequence[Path], images: int) -> Rows:
    """:func:`detector_table` of so many photographs."""
    return detector_table([read_image(path) for path in spread(paths, images)])


def full_table(select: str) -> Callable[[Sequence[Path], int], Rows]:
    """A table of all photographs, against our own "mtcnn", which stands for plain MTCNN: they agree in ``sizes``."""

    def table(paths: Sequence[Path], images: int) -> Rows:
        detectors = {kind: FaceDetector(select, kind=kind) for kind in DETECTORS}
        found: dict[str, list[Detection | None]] = {kind: [] for kind in DETECTORS}
        with bar("detect", len(paths)) as progress:
            for photos in _parts(paths):
                for kind, detector in detectors.items():
                    found[kind] += detector(photos)
                progress.update(len(photos))
        return [{"detector": kind, "select": select, **_against(found["mtcnn"], found[kind])} for kind in DETECTORS]

    return table


def hard_table(paths: Sequence[Path], images: int) -> Rows:
    """Photographs that "mtcnn-cropped" is not meant for, against our own "mtcnn"."""
    rows = []
    for name, photos in hard_photos([read_image(path) for path in spread(paths, images)]).items():
        for select in SELECTIONS:
            reference = FaceDetector(select)(photos)
            found = FaceDetector(select, kind="mtcnn-cropped")(photos)
            rows.append({"photographs of": name, "select": select, **_against(reference, found)})
    return rows


def hard_photos(photos: Sequence[Pixels]) -> dict[str, list[Pixels]]:
    """By what is hard about them, made of photographs (250, 250, 3)."""
    small = [cv2.resize(photo, (100, 100), interpolation=cv2.INTER_AREA).astype(np.uint8) for photo in photos]
    pairs = list(zip(photos[::2], photos[1::2], strict=False))
    corner = [photo.copy() for photo in photos]
    for photo, other in zip(corner, reversed(small), strict=True):
        photo[150:, 150:] = other
    return {
        "as they are": list(photos),
        "degraded by the standard mix": [degrade(p, draw_degradation(0, str(i))) for i, p in enumerate(photos)],
        "two side by side": [np.concatenate(pair, axis=1) for pair in pairs],
        "four, two by two": [
            np.concatenate([np.concatenate(one, axis=1), np.concatenate(two, axis=1)])
            for one, two in zip(pairs[::2], pairs[1::2], strict=False)
        ],
        "a small face in the corner": corner,
        "60 pixels off the centre": [np.pad(photo, ((0, 0), (120, 0), (0, 0)), "edge") for photo in photos],
        "cut through the face": [np.ascontiguousarray(photo[:, 110:]) for photo in photos],
        "lying": [np.ascontiguousarray(np.rot90(photo)) for photo in photos],
    }


def store(path: Path, name: str, rows: Rows, source: dict[str, Any]) -> str:
    """Put a table beside those that the file holds already, and all of them into a text file; the new one's text."""
    tables = json.loads(path.read_text()) if path.exists() else {}
    tables[name] = {"rows": rows, "provenance": source}
    tables = {name: tables[name] for name in TABLES if name in tables}
    path.write_text(json.dumps(tables, indent=1) + "\n")
    texts = {name: tabulate(table["rows"], headers="keys", floatfmt=".4g") for name, table in tables.items()}
    path.with_suffix(".txt").write_text("\n\n".join(f"{name}\n{text}" for name, text in texts.items()) + "\n")
    return texts[name]


def _parts(paths: Sequence[Path]) -> Iterator[list[Pixels]]:
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(paths), PART):
            yield list(pool.map(read_image, paths[start : start + PART]))


def _seen(found: Sequence[Detection | None]) -> dict[str, int]:
    counts = [0 if one is None else one.faces for one in found]
    return {"no face": counts.count(0), "several faces": sum(count > 1 for count in counts)}


def _against(reference: Sequence[Detection | None], found: Sequence[Detection | None]) -> dict[str, Any]:
    return _seen(found) | compare_detections(reference, found).figures()


TABLES: dict[str, Callable[[Sequence[Path], int], Rows]] = {
    "sizes": sizes_table,
    **{f"full-{select}": full_table(select) for select in SELECTIONS},
    "hard": hard_table,
}
