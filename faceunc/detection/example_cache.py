"""Examples of a photo set, made once and kept: degrading and judging every version takes most of the time."""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, from_numpy

from faceunc.detection.features import LastStage
from faceunc.detection.versions import Examples, VersionOptions, make_examples
from faceunc.images.degrade import KINDS
from faceunc.images.landmarks import Landmarks
from faceunc.images.photos import PhotoSet
from faceunc.storage import atomic_write

_RECIPE = "1"  # part of the key: raise it when examples are made otherwise
_KINDS = ("none", *KINDS)


def cached_examples(
    photos: PhotoSet,
    landmarks: Landmarks,
    detector: str,
    stage: LastStage,
    options: VersionOptions,
    cache: Path,
    show: bool | None = None,
) -> Examples:
    """:func:`make_examples`, from ``cache`` where they are there; a damaged file is made anew.

    Args:
        detector: name of the detector that the landmarks are from, with its settings.
    """
    facts = [_RECIPE, photos.sha256, detector, stage.sha256, asdict(options)]
    key = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=12).hexdigest()
    path = cache / "detector-examples" / f"{key}.safetensors"
    try:
        return _unpack(load_file(path))
    except (OSError, SafetensorError, KeyError):
        examples = make_examples(photos, landmarks, stage, options, show)
        atomic_write(path, save(_pack(examples)))
        return examples


def _pack(examples: Examples) -> dict[str, Tensor]:
    numbers = np.array([_KINDS.index(kind) for kind in examples.kind.tolist()], np.uint8)
    return {
        "features": examples.features,
        "residual": examples.residual,
        "places": examples.places,
        "probability": from_numpy(examples.probability),
        "photo": from_numpy(examples.photo),
        "kind": from_numpy(numbers),
        "severity": from_numpy(examples.severity),
        "skipped": from_numpy(np.array([examples.skipped])),
    }


def _unpack(tensors: dict[str, Tensor]) -> Examples:
    arrays = {name: tensors[name].numpy() for name in ("probability", "photo", "severity")}
    return Examples(
        tensors["features"],
        tensors["residual"],
        tensors["places"],
        arrays["probability"],
        arrays["photo"],
        np.array(_KINDS)[tensors["kind"].numpy()],
        arrays["severity"],
        int(tensors["skipped"]),
    )
