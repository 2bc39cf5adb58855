"""From a folder of photographs to a stored variance branch with its card: ``faceunc train detector-sigma``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from faceunc.detection.branch import BranchConfig
from faceunc.detection.example_cache import cached_examples
from faceunc.detection.features import GROUPS, LastStage
from faceunc.detection.intervals import coverages
from faceunc.detection.store import save_branch
from faceunc.detection.training import BranchOptions, FittedBranch, fit_branch
from faceunc.detection.versions import Examples, VersionOptions
from faceunc.errors import InputError
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.photos import PhotoSet, identity_folder
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, cache_dir, check_writable, sha256_file
from faceunc.training.crossfit import hash_identities


@dataclass(frozen=True)
class DetectorSigmaRequest:
    """What is trained on what, and where it goes; the fields are those of ``faceunc train detector-sigma``.

    ``per_person``: most photographs of one person that are used, evenly spread over them.
    """

    data: Path
    out: Path
    select: str = "central"
    per_person: int = 2
    config: BranchConfig = field(default_factory=BranchConfig)
    versions: VersionOptions = field(default_factory=VersionOptions)
    options: BranchOptions = field(default_factory=BranchOptions)
    show: bool | None = None


@dataclass(frozen=True)
class DetectorSigmaSummary:
    """A trained and stored branch: where it is, and how training went.

    ``coverage``: by group and level, on the people held out for early stopping, whom neither the weights nor the
    calibration were fitted to.
    """

    out: Path
    fitted: FittedBranch
    coverage: dict[str, dict[str, float]]
    crops: int
    skipped: int

    def text(self) -> str:
        """For a terminal."""
        fitted, best = self.fitted, min(row["validation_loss"] for row in self.fitted.history)
        people = [len(p) for p in (fitted.train_people, fitted.validation_people, fitted.calibration_people)]
        lines = [
            f"{self.crops} crops, {self.skipped} photographs without a usable face; trained on {people[0]} people, "
            f"{people[1]} held out to stop, {people[2]} to calibrate",
            f"best at step {fitted.best_step}: validation loss {best:.3f} (residuals in percent of the crop's side)",
            "sigma calibrated by " + ", ".join(f"{name} x {value:.3f}" for name, value in fitted.factors.items()),
        ]
        for name, levels in self.coverage.items():
            shown = ", ".join(f"{float(level):.0%}: {value:.1%}" for level, value in levels.items())
            lines.append(f"coverage of intervals on held-out people, {name}: {shown}")
        return "\n".join([*lines, f"written: {self.out}, {self.out.with_suffix('.json')}"])


def train_detector_sigma(request: DetectorSigmaRequest) -> DetectorSigmaSummary:
    """Train a branch and write it, with its card (``.json``) beside it.

    Raises:
        InputError: unusable data or options. OutputError: the branch cannot be written.
    """
    if request.out.suffix != ".safetensors":
        raise InputError(f"{request.out}: expected a file name that ends in .safetensors")
    check_writable(request.out)
    photos = identity_folder(request.data)
    detector = FaceDetector(request.select)
    landmarks = find_landmarks(photos, detector, cache_dir(), request.show)
    used, landmarks = some_of_each(photos, landmarks, request.per_person)
    stage = LastStage()
    examples = cached_examples(used, landmarks, detector.name, stage, request.versions, cache_dir(), request.show)
    people = used.identities
    fitted = fit_branch(examples, people, people, request.config, request.options, request.show)
    coverage = _coverage(examples, people, fitted)
    card = make_card(request, photos, examples, fitted, coverage)
    save_branch(request.out, fitted.branch, stage, card)
    full = {**card, "file": request.out.name, "sha256": sha256_file(request.out), "onet_sha256": stage.sha256}
    atomic_write(request.out.with_suffix(".json"), (json.dumps(full, indent=1) + "\n").encode())
    return DetectorSigmaSummary(request.out, fitted, coverage, len(examples), examples.skipped)


def some_of_each(photos: PhotoSet, landmarks: Landmarks, most: int) -> tuple[PhotoSet, Landmarks]:
    """At most ``most`` photographs of each person, evenly spread over what there is, with their landmarks."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, name in enumerate(photos.identities):
        rows[name].append(row)
    kept = np.sort(np.concatenate([_spread(own, most) for own in rows.values()]))
    parts = (landmarks.points, landmarks.state, landmarks.face_size, landmarks.score)
    return photos.subset(kept.tolist()), Landmarks(*(part[kept] for part in parts))


def _spread(rows: list[int], most: int) -> list[int]:
    return [rows[i] for i in np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(int)]


@torch.no_grad()
def _coverage(examples: Examples, people: Sequence[str], fitted: FittedBranch) -> dict[str, dict[str, float]]:
    rows = np.flatnonzero(np.isin(np.asarray(people)[examples.photo], fitted.validation_people))
    sigma = torch.exp(0.5 * fitted.branch(examples.features[rows])).numpy()
    residual = examples.residual[rows].numpy()
    return {name: coverages(residual[:, part], sigma[:, part]) for name, part in GROUPS.items()}


def make_card(
    request: DetectorSigmaRequest,
    photos: PhotoSet,
    examples: Examples,
    fitted: FittedBranch,
    coverage: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """The papers of a branch."""
    everybody = [*fitted.train_people, *fitted.validation_people, *fitted.calibration_people]
    return {
        "method": "variance branch on MTCNN's last stage, heteroscedastic smooth L1, no labels",
        "paper": "Kendall & Gal, NIPS 2017; He et al., CVPR 2019",
        "config": request.config.to_dict(),
        "versions": asdict(request.versions),
        "options": asdict(request.options),
        "training data": {
            "folder": request.data.name,
            "sha256": photos.sha256,
            "photographs": len(np.unique(examples.photo)),
            "crops": len(examples),
            "skipped": examples.skipped,
            "people trained on": len(fitted.train_people),
            "people held out to stop": len(fitted.validation_people),
            "people held out to calibrate": len(fitted.calibration_people),
        },
        "best_step": fitted.best_step,
        "history": fitted.history,
        "factors": fitted.factors,
        "coverage on people held out to stop": coverage,
        "identity_hashes": hash_identities(everybody),
        "note": "Figures on any of the people that this branch was trained on must not be reported.",
        "licence": "MIT",
        "provenance": provenance(),
    }
