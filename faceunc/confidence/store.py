"""A calibrator with its reference comparisons on disk: safetensors, nothing that could run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import Calibrator
from faceunc.confidence.models import MODELS
from faceunc.confidence.reference import Reference
from faceunc.errors import InputError
from faceunc.scoring.fusion import POSTERIORS
from faceunc.storage import atomic_write
from faceunc.weights import read_weights

FORMAT = "faceunc-calibrator-1"
SUFFIX = ".calibrator"  # HEAD.calibrator.safetensors lies beside HEAD.safetensors
_MAX_BYTES = 200_000_000


@dataclass(frozen=True)
class StoredCalibrator:
    """A calibrator and the comparisons that its decisions rest on."""

    calibrator: Calibrator
    reference: Reference


def calibrator_path(head: Path) -> Path:
    """Where the calibrator of the head in this file lies."""
    return head.with_name(f"{head.stem}{SUFFIX}.safetensors")


def save_calibrator(path: str | Path, calibrator: Calibrator, reference: Reference) -> None:
    """Write both, whole or not at all. Raises OutputError."""
    from safetensors.numpy import save

    arrays: dict[str, NDArray[np.generic]] = {
        f"model/{name}": np.array(value, order="C") for name, value in calibrator.parameters.items()
    }
    for name, value in vars(reference).items():
        arrays[f"reference/{name}"] = np.ascontiguousarray(value.astype(np.uint8) if value.dtype == bool else value)
    metadata = {
        "format": FORMAT,
        "kind": calibrator.kind,
        "limits": json.dumps(calibrator.limits),
        "meta": json.dumps(dict(calibrator.meta)),
        "card": json.dumps(dict(calibrator.card)),
    }
    atomic_write(Path(path), save(arrays, metadata))


def load_calibrator(path: str | Path) -> StoredCalibrator:
    """Read what :func:`save_calibrator` wrote.

    Raises:
        InputError: missing, too large, damaged or foreign file.
    """
    path = Path(path)
    metadata, state = read_weights(path, FORMAT, "calibrator", _MAX_BYTES)
    try:
        arrays = {name: value.numpy() for name, value in state.items()}
        parameters = {name.removeprefix("model/"): v for name, v in arrays.items() if name.startswith("model/")}
        reference = _reference(
            {k.removeprefix("reference/"): v for k, v in arrays.items() if k.startswith("reference/")}
        )
        calibrator = _calibrator(metadata, parameters)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: damaged or foreign calibrator ({error})") from None
    return StoredCalibrator(calibrator, reference)


_TYPES = {"same": np.uint8, "clean": np.uint8, "first_subject": np.int32, "second_subject": np.int32}


def _reference(columns: dict[str, NDArray[np.generic]]) -> Reference:
    for name, value in columns.items():
        wanted = np.dtype(_TYPES.get(name, np.float32))
        if value.dtype != wanted or value.ndim != 1 or not len(value):
            raise ValueError(f"reference/{name} must be {wanted} (P,), P >= 1. Got {value.dtype} {value.shape}")
    return Reference(**{k: v.astype(bool) if v.dtype == np.uint8 else v for k, v in columns.items()})  # type: ignore[arg-type]


def _calibrator(metadata: dict[str, str], parameters: dict[str, NDArray[np.generic]]) -> Calibrator:
    low, high = (float(value) for value in json.loads(metadata["limits"]))
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"limits must be finite and rise. Got {low}, {high}")
    meta, card = json.loads(metadata["meta"]), json.loads(metadata["card"])
    if not isinstance(meta, dict) or not isinstance(card, dict):
        raise ValueError("meta and card must be objects")
    if card.get("posterior", "bayes") not in POSTERIORS:
        raise ValueError(f"posterior must be one of {', '.join(POSTERIORS)}")
    MODELS[metadata["kind"]].check(parameters)
    words = {str(key): str(value) for key, value in meta.items()}
    return Calibrator(metadata["kind"], parameters, (low, high), words, card)
