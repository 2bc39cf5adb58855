"""From a folder of identities to a stored head of any method, with its card and the curves of its training."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from faceunc.backbones.base import Backbone
from faceunc.backbones.registry import load_backbone
from faceunc.errors import InputError
from faceunc.heads.store import save_head
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import identity_folder
from faceunc.plots.training import save_history
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, cache_dir, check_writable, sha256_file
from faceunc.training.cache import FeatureSource
from faceunc.training.collapse import CollapseReport, collapse_report, predict_log_var
from faceunc.training.crossfit import hash_identities
from faceunc.training.data import TRAIN_VIEWS, training_data
from faceunc.training.ensemble import train_recipe
from faceunc.training.loop import TrainedHead, TrainOptions
from faceunc.training.methods import find_method
from faceunc.training.recipe import EnsembleOptions, Recipe, Settings


@dataclass(frozen=True)
class TrainRequest:
    """What is trained on what, and where it goes; the fields are those of ``faceunc train METHOD``.

    ``settings`` None: the method's own defaults. ``ensemble``: None for a single head.
    """

    data: Path
    out: Path
    method: str = "pfe"
    settings: Settings | None = None
    backbone: str = "dlib"
    precision: str = "auto"
    select: str = "central"
    checkpoint: Path | None = None
    ensemble: EnsembleOptions | None = None
    show: bool | None = None


@dataclass(frozen=True)
class TrainingSummary:
    """A trained and stored head: where it is, how training went, and whether sigma carries something."""

    out: Path
    trained: TrainedHead
    check: CollapseReport
    unusable: int
    warnings: list[str] = field(default_factory=list)

    def text(self) -> str:
        """For a terminal."""
        best = next(row for row in self.trained.history if row["step"] == self.trained.best_step)
        parts = [f"{name} {value:.3f}" for name, value in best.items() if name not in ("step", "validation_loss")]
        check = self.check
        lines = [
            f"trained on {len(self.trained.train_people)} people, {len(self.trained.validation_people)} held out; "
            f"{self.unusable} photographs without a usable face",
            f"best at step {self.trained.best_step}: validation loss {best['validation_loss']:.2f}"
            + (" (a density's: negative is normal)" if best["validation_loss"] < 0 else ""),
            f"  {', '.join(parts)}",
            f"spread of log_var between held-out images: {check.spread:.3f}",
            f"rank correlation with severity: sigma {check.sigma:.3f}; for comparison norm {check.norm:.3f}, "
            f"sharpness {check.sharpness:.3f}, face size {check.face_size:.3f}",
            "  by kind: " + ", ".join(f"{kind} {value:.2f}" for kind, value in check.by_kind.items()),
            *(f"warning: {line}" for line in [*check.warnings, *self.warnings]),
            f"written: {self.out}, {self.out.with_suffix('.json')}, {self.out.with_suffix('.png')}",
        ]
        return "\n".join(lines)


def train_method(request: TrainRequest, options: TrainOptions) -> TrainingSummary:
    """Train a head and write it, with its card (``.json``) and the curves of training (``.png``) beside it.

    Raises:
        InputError: unusable data or options. OutputError: the head cannot be written.
    """
    if request.out.suffix != ".safetensors":
        raise InputError(f"{request.out}: expected a file name that ends in .safetensors")
    check_writable(request.out)
    method = find_method(request.method)
    photos = identity_folder(request.data)
    backbone = load_backbone(request.backbone, request.precision)
    recipe = _recipe(request, backbone)
    detector = FaceDetector(request.select)
    landmarks = find_landmarks(photos, detector, cache_dir(), request.show)
    source = FeatureSource(photos, landmarks, detector.name, backbone, cache_dir())
    data = training_data(source, TRAIN_VIEWS, recipe.pooling_head(), request.show)
    trained = train_recipe(data, data.people, recipe, options, request.checkpoint, request.show)
    check = collapse_report(predict_log_var(trained.head, data), data, data.rows_of(set(trained.validation_people)))
    card = make_card(source, request, options, trained, check)
    save_head(request.out, trained.head, backbone.spec, card, method.name)
    full = {**card, "file": request.out.name, "sha256": sha256_file(request.out), "backbone": asdict(backbone.spec)}
    atomic_write(request.out.with_suffix(".json"), (json.dumps(full, indent=1) + "\n").encode())
    save_history(trained.history, request.out.with_suffix(".png"), method.title)
    warnings = collapse_of_noise(trained)
    return TrainingSummary(request.out, trained, check, int(np.sum(landmarks.state != 0)), warnings)


def _recipe(request: TrainRequest, backbone: Backbone) -> Recipe:
    try:
        recipe = find_method(request.method).recipe(backbone, request.settings)
    except ValueError as error:  # settings that do not go together
        raise InputError(str(error)) from None
    return replace(recipe, ensemble=request.ensemble)


def collapse_of_noise(trained: TrainedHead) -> list[str]:
    """Does the sampled noise of DUL_cls still matter? Reasons for doubt, empty when there are none.

    The regulariser alone keeps the variance from going to zero, for the classification loss is always better without.
    """
    until = [row for row in trained.history if row["step"] <= trained.best_step]
    rows = [row["mean log_var"] for row in until if "mean log_var" in row and "mutual likelihood" not in row]
    if not rows or rows[-1] > rows[0] - 3.0:
        return []
    return [
        f"sigma collapses: mean log_var fell from {rows[0]:.2f} to {rows[-1]:.2f} in training; "
        "raise --kl-weight (the sum over dimensions is what it weighs)"
    ]


def make_card(
    source: FeatureSource, request: TrainRequest, options: TrainOptions, trained: TrainedHead, check: CollapseReport
) -> dict[str, Any]:
    """The papers of a head."""
    method = find_method(request.method)
    return {
        "method": method.name,
        "paper": method.paper,
        "config": trained.head.config.to_dict(),
        "settings": asdict(request.settings or method.default_settings()),
        "ensemble": asdict(request.ensemble) if request.ensemble else None,
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
