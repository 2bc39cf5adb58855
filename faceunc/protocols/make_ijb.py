"""An IJB-C-format protocol made of any folder of identities, so that the whole IJB path can be run on it.

Writes the files of insightface's layout: ``meta/ijbc_face_tid_mid.txt``, ``meta/ijbc_template_pair_label.txt``,
``meta/ijbc_name_5pts_score.txt``, the lists of galleries and probes (``meta/ijbc_1N_*.csv``), the crops in
``loose_crop/``; and beside them ``meta/subjects.csv`` (names) and ``manifest.json`` (options, counts, origin).
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from faceunc.errors import ImageError, InputError
from faceunc.images.align import align_face
from faceunc.images.degrade import degrade
from faceunc.images.detect import FaceDetector
from faceunc.images.face_score import FOUND, FaceScorer
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.photos import PhotoSet
from faceunc.images.read import read_image
from faceunc.progress import bar
from faceunc.protocols.ijb_plan import GALLERIES, Plan, PlanOptions, Row, plan_ijb
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, output_errors

CROP_SIDE = 224
_FACE_SHARE = 0.45  # of the crop's side that the face's box takes
_CHUNK = 240
_KEY = "making.json"  # what the folder holds or is about to hold: photographs and options


def make_ijb(
    photos: PhotoSet, out: Path, cache: Path, options: PlanOptions | None = None, show: bool | None = None
) -> dict[str, Any]:
    """Build the protocol in the folder ``out``; a run that is killed goes on where it stopped.

    Returns what ``manifest.json`` holds: counts, options, origin. A protocol that is complete is left as it is.

    A photograph without a face that can be found is left out and counted. On every crop (still or degraded frame) the
    detector's last stage gives five points and a score; where it sees no face any more, the points are those of the
    photograph, moved as the crop was, and the score is 0: a failed detection, which stays in the protocol.

    Raises:
        InputError: too few people, or ``out`` holds a protocol of other options or photographs.
        OutputError: ``out`` cannot be written.
    """
    options = options or PlanOptions()
    key = json.dumps({"photographs": photos.sha256, "options": asdict(options)}, sort_keys=True).encode()
    _refuse(out, key)
    if (out / "manifest.json").is_file():
        return read_manifest(out)
    landmarks = find_landmarks(photos, FaceDetector("central"), cache, show)
    usable = np.flatnonzero(landmarks.state == 0)
    kept = photos.subset(usable.tolist())
    plan = plan_ijb(kept.identities, kept.ids, options)
    atomic_write(out / _KEY, key)
    with output_errors(out):
        (out / "loose_crop").mkdir(parents=True, exist_ok=True)
    parts = _render(plan, kept, _rows_of(landmarks, usable), out, show)
    points, score = (np.concatenate([part[name] for part in parts]) for name in ("points", "score"))
    for name, data in _meta_files(plan, points, score).items():
        atomic_write(out / "meta" / name, data)
    facts = {**_counts(plan, int((score == 0).sum())), "photographs left out": _left_out(landmarks)}
    facts |= {"source": photos.root.name, "options": asdict(options), "provenance": provenance()}
    atomic_write(out / "manifest.json", (json.dumps(facts, indent=1) + "\n").encode())
    shutil.rmtree(out / "parts", ignore_errors=True)
    return facts


def _rows_of(landmarks: Landmarks, rows: NDArray[np.int64]) -> Landmarks:
    return Landmarks(**{name: getattr(landmarks, name)[rows] for name in ("points", "state", "face_size", "score")})


def _left_out(landmarks: Landmarks) -> dict[str, int]:
    return {name: count for name, count in landmarks.counts().items() if name != "found"}


def read_manifest(out: Path) -> dict[str, Any]:
    """What a finished protocol says of itself. Raises InputError when the file is damaged."""
    try:
        return dict(json.loads((out / "manifest.json").read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{out / 'manifest.json'}: damaged ({error}); remove it to make the protocol again") from None


def _refuse(out: Path, key: bytes) -> None:
    """Raise InputError when ``out`` holds something else than (a part of) this protocol."""
    path = out / _KEY
    if path.is_file():
        if path.read_bytes() != key:
            raise InputError(f"{out}: holds a protocol of other photographs or options; choose another OUT")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: expected a new or an empty folder, or one that an earlier run began")


def _render(
    plan: Plan, photos: PhotoSet, landmarks: Landmarks, out: Path, show: bool | None
) -> list[dict[str, NDArray[Any]]]:
    """Make all crops; per chunk the points and the detector's scores, kept in ``out/parts`` until all is done."""
    parts, scorer = [], FaceScorer()
    with bar("make crops", len(plan.rows), show=show) as progress, ThreadPoolExecutor(2) as pool:
        for start in range(0, len(plan.rows), _CHUNK):
            rows = plan.rows[start : start + _CHUNK]
            path = out / "parts" / f"{start:08d}.safetensors"
            try:
                part = dict(load_file(path))
            except (OSError, SafetensorError):
                jobs = [pool.submit(_crop, row, photos, landmarks) for row in rows]
                crops, projected = zip(*(job.result() for job in jobs), strict=True)
                list(pool.map(_write_crop, [out / "loose_crop" / _file(start + i) for i in range(len(rows))], crops))
                part = _points(scorer, crops, np.stack(projected))
                atomic_write(path, save(part))
            parts.append(part)
            progress.update(len(rows))
    return parts


def _file(row: int) -> str:
    return f"{row + 1}.jpg"


def _crop(row: Row, photos: PhotoSet, landmarks: Landmarks) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The loose crop of one row, RGB, and where the photograph's landmarks lie in it.

    Frames of a video move a little: turned by up to 6 degrees, scaled by up to 6%, shifted by up to 4% of the side.
    """
    points = landmarks.points[row.photo].astype(np.float64)
    turn, zoom, shift = 0.0, 1.0, np.zeros(2)
    if row.frame >= 0:
        rng = np.random.default_rng([row.seed, 3])
        turn, zoom = np.deg2rad(rng.uniform(-6, 6)), float(np.exp(rng.uniform(-0.06, 0.06)))
        shift = rng.uniform(-0.04, 0.04, 2) * CROP_SIDE
    scale = zoom * _FACE_SHARE * CROP_SIDE / float(landmarks.face_size[row.photo])
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = (points - points.mean(0)) @ rotation.T + CROP_SIDE / 2 + shift
    try:
        image = read_image(photos.root / photos.ids[row.photo])
    except ImageError as error:  # it could be read when its landmarks were found
        raise InputError(f"{error}; the photographs changed during the run") from None
    crop = align_face(image, points, target, CROP_SIDE)
    return degrade(crop, row.degradation), target.astype(np.float32)


def _write_crop(path: Path, crop: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    atomic_write(path, data.tobytes())


def _points(
    scorer: FaceScorer, crops: Sequence[NDArray[np.uint8]], projected: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    score, points = scorer(crops, projected)
    found = score >= FOUND
    return {
        "points": np.where(found[:, None, None], points, projected),
        "score": np.where(found, score, 0.0).astype(np.float32),
    }


def _meta_files(plan: Plan, points: NDArray[np.float32], score: NDArray[np.float32]) -> dict[str, bytes]:
    """Content of every file in ``meta/``. Numbers of templates, media, subjects and images begin at 1."""
    media = [f"{_file(i)} {row.template + 1} {row.medium + 1}" for i, row in enumerate(plan.rows)]
    flat = [" ".join(f"{value:.3f}" for value in row) for row in points.reshape(len(points), 10)]
    five = [f"{_file(i)} {text} {s:.6f}" for i, (text, s) in enumerate(zip(flat, score, strict=True))]
    table = np.stack([plan.first + 1, plan.second + 1, plan.same], axis=1)
    pairs = io.BytesIO()
    np.savetxt(pairs, table, "%d")
    files = {
        "ijbc_face_tid_mid.txt": "\n".join([*media, ""]).encode(),
        "ijbc_name_5pts_score.txt": "\n".join([*five, ""]).encode(),
        "ijbc_template_pair_label.txt": pairs.getvalue(),
        "subjects.csv": _csv(["SUBJECT_ID", "NAME"], [[i + 1, name] for i, name in enumerate(plan.names)]),
    }
    lists = {f"gallery_{name}": plan.part == number for number, name in enumerate(GALLERIES)}
    lists["probe_mixed"] = plan.part < 0
    for name, chosen in lists.items():
        rows = [
            [row.template + 1, plan.subject[row.template] + 1, _file(i), row.medium + 1]
            for i, row in enumerate(plan.rows)
            if chosen[row.template]
        ]
        files[f"ijbc_1N_{name}.csv"] = _csv(["TEMPLATE_ID", "SUBJECT_ID", "FILENAME", "MEDIA_ID"], rows)
    return files


def _csv(header: list[str], rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _counts(plan: Plan, no_face: int) -> dict[str, Any]:
    return {
        "images": len(plan.rows),
        "frames of videos": sum(row.frame >= 0 for row in plan.rows),
        "templates": len(plan.subject),
        "galleries": {name: int((plan.part == number).sum()) for number, name in enumerate(GALLERIES)},
        "probes": int((plan.part < 0).sum()),
        "subjects": len(plan.names),
        "pairs": len(plan.same),
        "genuine": int(plan.same.sum()),
        "crops without a face found (score 0)": no_face,
    }
