"""Landmark error of plain NMS and of variance voting, on the same candidates of the same degraded photographs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou  # type: ignore[import-untyped]

from faceunc.detection.branch import VarianceBranch
from faceunc.detection.candidates import CandidateFinder, judged
from faceunc.detection.features import LastStage
from faceunc.detection.versions import CleanFace, VersionOptions, clean_faces, moved_square
from faceunc.detection.voting import Candidates, plain_nms, variance_voting
from faceunc.images.degrade import CLEAN, degrade, draw_degradation
from faceunc.images.landmarks import Landmarks
from faceunc.images.photos import PhotoSet
from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.progress import bar

METHODS = ("plain NMS", "variance voting", "voting, equal variances")
SOURCES = ("MTCNN's candidates", "moved crops")
_CHUNK, _SAME = 64, 0.3


@dataclass(frozen=True)
class VotingRow:
    """One image with one source of candidates.

    Attributes:
        photo: row in the set. source: one of :data:`SOURCES`. kind, severity: of the degradation; "none" and NaN.
        candidates: how many lay above the detector's threshold, for all faces of the image.
        error: mean landmark error of each of :data:`METHODS`, in inter-ocular distances of the target.
        box: 1 - IoU with the target's box of each of them.
    """

    photo: int
    source: str
    kind: str
    severity: float
    candidates: int
    error: tuple[float, ...]
    box: tuple[float, ...]


def measure_voting(
    photos: PhotoSet,
    landmarks: Landmarks,
    branches: Sequence[VarianceBranch],
    part: NDArray[np.int64],
    options: VersionOptions,
    crops: int = 8,
    show: bool | None = None,
) -> list[VotingRow]:
    """Errors on every version of every photograph in which some candidate means the face.

    The image searched is the face's surroundings at 160 x 160 pixels, degraded; the target is the clean detection.
    "MTCNN's candidates" are what its first two stages leave. "moved crops" simulate more of them: ``crops`` squares
    around the clean detection, moved and scaled at random within the limits of ``options``.

    Args:
        branches: ``branches[k]`` for photographs of part k. part: (P,).
    """
    stage = LastStage()
    finder = CandidateFinder(stage)
    rows: list[VotingRow] = []
    with bar("voting", len(photos), show=show) as progress, ThreadPoolExecutor(2) as pool:
        for start in range(0, len(photos), _CHUNK):
            block = range(start, min(start + _CHUNK, len(photos)))
            for face in clean_faces(photos, landmarks, stage, block, pool):
                branch = branches[int(part[face.row])]
                for version in range(options.versions):
                    rows += _one_image(
                        face, f"{photos.ids[face.row]}#{version}", version, finder, branch, options, crops
                    )
                progress.update(1)
    return rows


def _one_image(
    face: CleanFace,
    name: str,
    version: int,
    finder: CandidateFinder,
    branch: VarianceBranch,
    options: VersionOptions,
    crops: int,
) -> list[VotingRow]:
    what = draw_degradation(options.seed, name) if version else CLEAN
    image = degrade(face.region, what)
    squares = [moved_square(face, f"{name}/{k}", options) for k in range(crops)]
    corner, side = np.stack([place for place, _ in squares]), np.array([size for _, size in squares])
    rows = []
    found = (finder(image, branch), judged(finder.stage, branch, image, corner, side))
    for source, candidates in zip(SOURCES, found, strict=True):
        errors = _errors(candidates, face.target)
        if errors is not None:
            severity = what.severity if version else float("nan")
            rows.append(VotingRow(face.row, source, what.kind, severity, len(candidates), *errors))
    return rows


def _errors(candidates: Candidates, target: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Landmark and box errors by method; None when no candidate overlaps the target."""
    if not len(candidates):
        return None
    kept = plain_nms(candidates)
    best = int(box_iou(target[None, :4], candidates.places[kept, :4])[0].argmax())
    equal = Candidates(candidates.places, torch.zeros_like(candidates.log_var), candidates.score)
    voted = [variance_voting(some).places[best] for some in (candidates, equal)]
    places = torch.stack([candidates.places[kept[best]], *voted])
    overlap = box_iou(places[:, :4], target[None, :4])[:, 0]
    if overlap[0] < _SAME:
        return None
    points, truth = places[:, 4:].view(-1, 5, 2), target[4:].view(5, 2)
    error = (points - truth).norm(dim=2).mean(dim=1) / (truth[0] - truth[1]).norm()
    return tuple(error.tolist()), tuple((1.0 - overlap).tolist())


def voting_report(rows: Sequence[VotingRow], identities: Sequence[str], seed: int = 0) -> dict[str, Any]:
    """Mean errors by source of candidates, differences to plain NMS with 95% intervals over identities; JSON-ready."""
    return {source: _summary([r for r in rows if r.source == source], identities, seed) for source in SOURCES}


def _summary(rows: Sequence[VotingRow], identities: Sequence[str], seed: int) -> dict[str, Any]:
    person = np.array([identities[row.photo] for row in rows])
    count = np.array([row.candidates for row in rows])
    report: dict[str, Any] = {
        "images": len(rows),
        "people": len(set(person)),
        "median candidates": float(np.median(count)),
        "share with several": float((count > 1).mean()),
    }
    for measure in ("error", "box"):
        values = np.array([getattr(row, measure) for row in rows])
        label = "landmark error" if measure == "error" else "1 - IoU of the box"
        report[label] = dict(zip(METHODS, values.mean(axis=0).tolist(), strict=True))
        report[f"{label}, difference to plain NMS"] = {
            name: _difference(values[:, k] - values[:, 0], person, seed) for k, name in enumerate(METHODS) if k
        }
        report[f"{label}, what the variances change"] = _difference(values[:, 1] - values[:, 2], person, seed)
    errors = np.array([row.error for row in rows])
    kinds = np.array([row.kind for row in rows])
    report["landmark error by kind"] = {
        str(kind): dict(zip(METHODS, errors[kinds == kind].mean(axis=0).tolist(), strict=True))
        for kind in np.unique(kinds)
    }
    return report


def _difference(values: NDArray[np.float64], person: NDArray[np.str_], seed: int) -> dict[str, float]:
    found = subject_bootstrap(lambda rows: float(values[rows].mean()), person, person, seed=seed)
    return {"mean": float(found.value), "low": float(found.low), "high": float(found.high)}
