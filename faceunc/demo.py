"""The demonstration: similarity, sigma and likelihood of one face as it gets worse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from faceunc.errors import ImageError
from faceunc.images.align import align_face
from faceunc.images.astronaut import astronaut
from faceunc.images.degrade import CLEAN, Degradation, degrade
from faceunc.images.read import read_image
from faceunc.loading import load
from faceunc.scoring.embedded import score_pairs

DEMO_KINDS = ("blur", "downsample", "noise", "occlusion")
DEMO_SEVERITIES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class DemoStep:
    """One degraded chip, RGB uint8 (S, S, 3), and what the model says of it against the original."""

    degradation: Degradation
    chip: NDArray[np.uint8]
    similarity: float
    sigma: float
    mls: float


@dataclass(frozen=True)
class DemoResult:
    """The original first, then every kind by rising severity."""

    original: DemoStep
    steps: list[DemoStep]

    def of_kind(self, kind: str) -> list[DemoStep]:
        """The original and the steps of one kind."""
        return [self.original, *(step for step in self.steps if step.degradation.kind == kind)]

    def table(self) -> str:
        """For a terminal."""
        rows = [_row("original", self.original)]
        rows += [_row(f"{s.degradation.kind} {s.degradation.severity:.2f}", s) for s in self.steps]
        headers = ["photo", "similarity", "sigma", "x original", "MLS (nats)"]
        for row in rows:
            row.insert(3, row[2] / self.original.sigma)  # type: ignore[operator]
        return tabulate(rows, headers=headers, floatfmt=("", ".3f", ".4f", ".2f", ".1f"))


def _row(name: str, step: DemoStep) -> list[str | float]:
    return [name, step.similarity, step.sigma, step.mls]


def run_demo(head: str = "dlib-pfe", photo: Path | None = None) -> DemoResult:
    """Degrade the astronaut's face (or the face of ``photo``) and embed every step.

    Raises:
        ImageError: no face in ``photo``, or it cannot be read.
    """
    embedder = load(head)
    image = astronaut() if photo is None else read_image(photo)
    detection = embedder.detector([image])[0]
    if detection is None:
        raise ImageError("no_face", f"{photo}: no face found")
    spec = embedder.backbone.spec
    chip = align_face(image, detection.landmarks, spec.template, spec.input_size)
    plan = [CLEAN, *(Degradation(kind, s, seed=1) for kind in DEMO_KINDS for s in DEMO_SEVERITIES)]
    chips = np.stack([degrade(chip, step) for step in plan])
    faces = embedder.embed_chips(chips, [f"{step.kind} {step.severity}" for step in plan])
    original = faces[[0] * len(faces)]
    scores = zip(score_pairs(faces, original, "cosine"), faces.sigma, score_pairs(faces, original, "mls"), strict=True)
    steps = [
        DemoStep(degradation, pixels, *map(float, numbers))
        for degradation, pixels, numbers in zip(plan, chips, scores, strict=True)
    ]
    return DemoResult(steps[0], steps[1:])
