"""From a folder of identities to a stored PFE head with its card."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from faceunc.backbones.registry import load_backbone
from faceunc.errors import InputError
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.heads.store import save_head
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import identity_folder
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, cache_dir, check_writable, sha256_file
from faceunc.training.cache import FeatureSource
from faceunc.training.collapse import CollapseReport, collapse_report, predict_log_var
from faceunc.training.crossfit import hash_identities
from faceunc.training.data import TRAIN_VIEWS, training_data
from faceunc.training.loop import TrainedHead, TrainOptions, train_head


@dataclass(frozen=True)
class PFERequest:
    """What is trained on what, and where it goes; the fields are those of ``faceunc train pfe``."""

    data: Path
    out: Path
    backbone: str = "dlib"
    precision: str = "auto"
    select: str = "central"
    architecture: str = "pooled"
    variance: str = "per-dimension"
    checkpoint: Path | None = None
    show: bool | None = None
    norm: bool = False


@dataclass(frozen=True)
class TrainingSummary:
    """A trained and stored head: where it is, how training went, and whether sigma carries something."""

    out: Path
    trained: TrainedHead
    check: CollapseReport
    unusable: int

    def text(self) -> str:
        """For a terminal."""
        best = next(row for row in self.trained.history if row["step"] == self.trained.best_step)
        check = self.check
        lines = [
            f"trained on {len(self.trained.train_people)} people, {len(self.trained.validation_people)} held out; "
            f"{self.unusable} photographs without a usable face",
            f"best at step {self.trained.best_step}: validation loss {best['validation_loss']:.2f} "
            "(a density's: negative is normal)",
            f"spread of log_var between held-out images: {check.spread:.3f}",
            f"rank correlation with severity: sigma {check.sigma:.3f}; for comparison norm {check.norm:.3f}, "
            f"sharpness {check.sharpness:.3f}, face size {check.face_size:.3f}",
            "  by kind: " + ", ".join(f"{kind} {value:.2f}" for kind, value in check.by_kind.items()),
            *(f"warning: {line}" for line in check.warnings),
            f"written: {self.out}, {self.out.with_suffix('.json')}",
        ]
        return "\n".join(lines)


def train_pfe(request: PFERequest, options: TrainOptions) -> TrainingSummary:
    """Train a PFE head and write it, with its card beside it.

    Raises:
        InputError: unusable data or options. OutputError: the head cannot be written.
    """
    if request.out.suffix != ".safetensors":
        raise InputError(f"{request.out}: expected a file name that ends in .safetensors")
    check_writable(request.out)
    photos = identity_folder(request.data)
    backbone = load_backbone(request.backbone, request.precision)
    detector = FaceDetector(request.select)
    landmarks = find_landmarks(photos, detector, cache_dir(), request.show)
    source = FeatureSource(photos, landmarks, detector.name, backbone, cache_dir())
    spec = backbone.spec
    if request.norm and request.architecture == "paper":
        raise InputError("the paper's architecture takes no norm: leave out --norm, or choose the pooled one")
    config = PFEConfig(
        spec.feature_shape,
        spec.dim,
        architecture=request.architecture,
        variance=request.variance,
        norm=request.norm,
    )
    data = training_data(source, TRAIN_VIEWS, PFEHead(config), request.show)
    trained = train_head(data, data.people, config, options, request.checkpoint, request.show)
    check = collapse_report(predict_log_var(trained.head, data), data, data.rows_of(set(trained.validation_people)))
    card = make_card(source, request, options, trained, check)
    save_head(request.out, trained.head, spec, card)
    full = {**card, "file": request.out.name, "sha256": sha256_file(request.out), "backbone": asdict(spec)}
    atomic_write(request.out.with_suffix(".json"), (json.dumps(full, indent=1) + "\n").encode())
    return TrainingSummary(request.out, trained, check, int(np.sum(landmarks.state != 0)))


def make_card(
    source: FeatureSource, request: PFERequest, options: TrainOptions, trained: TrainedHead, check: CollapseReport
) -> dict[str, Any]:
    """The papers of a head."""
    return {
        "method": "pfe",
        "config": trained.head.config.to_dict(),
        "training data": {
            "folder": request.data.name,
            "sha256": source.photos.sha256,
            "photographs": len(source.photos),
            "people trained on": len(trained.train_people),
            "people held out": len(trained.validation_people),
            "views": [view.name for view in TRAIN_VIEWS],
        },
        "options": asdict(options),
        "best_step": trained.best_step,
        "history": trained.history,
        "spread_fnmr": trained.spread_fnmr,
        "collapse": check.to_dict(),
        "identity_hashes": hash_identities([*trained.train_people, *trained.validation_people]),
        "note": "Figures on any of the people that this head was trained on must not be reported.",
        "provenance": provenance(),
    }
