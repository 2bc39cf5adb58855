"""What faces usually look like to the backbone: a few statistics of many people's embeddings, and nobody's face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import MEAN_KEYS, Embeddings
from faceunc.errors import IncompatibleError, InputError
from faceunc.metrics.values import between, vectors
from faceunc.storage import atomic_path
from faceunc.weights import read_weights

Floats = NDArray[np.float64]
SUFFIX = ".reference.safetensors"
FORMAT = "faceunc-face-reference-1"
LEAST_RATIO = 2  # photographs for each dimension of the embedding
_GROUPS = 5
_ARRAYS = ("mean", "precision", "centre", "scale", "held", "held_detector")
_MAX_BYTES = 100_000_000
_LEAST_SCORE = 1e-6  # float32 cannot tell a score from 1 much closer than this


@dataclass(frozen=True)
class FaceReference:
    """Made by :func:`fit_reference`.

    Attributes:
        mean: (D,), precision: (D, D), of clean faces' embeddings.
        centre, scale: (2,) mean and deviation, over held-out faces, of log squared distance and of -logit of the
            detector's score (0 and 1 where it was not given).
        held, held_detector: (m,) strangeness of the held-out faces, ascending, without and with the detector's score
            (empty where it was not given): what limits are read off.
        meta: backbone and alignment that it belongs to.
    """

    mean: Floats
    precision: Floats
    centre: Floats
    scale: Floats
    held: Floats
    held_detector: Floats
    meta: Mapping[str, str] = field(default_factory=dict)

    def distance(self, faces: Embeddings) -> Floats:
        """Squared Mahalanobis distance of each embedding from the reference, (N,), 0 and up.

        Raises IncompatibleError for embeddings of another backbone, alignment or moved mean.
        """
        for key in MEAN_KEYS:
            mine, theirs = self.meta.get(key, ""), faces.meta.get(key, "")
            if mine != theirs:
                raise IncompatibleError(f"this reference belongs to {key} {mine!r}, these embeddings are of {theirs!r}")
        return _distance(faces, self.mean, self.precision)

    def parts(self, faces: Embeddings, detector_score: ArrayLike | None = None) -> Floats:
        """(1 or 2, N): log squared distance and -logit of the detector's score, in deviations of held-out faces.

        Raises ValueError where the reference was fitted without the detector's score, or it does not fit ``faces``.
        """
        found = [(np.log(self.distance(faces)) - self.centre[0]) / self.scale[0]]
        if detector_score is not None:
            if not len(self.held_detector):
                raise ValueError("this reference was fitted without the detector's score; fit it with it, or leave it")
            found.append((_doubt(detector_score, len(faces)) - self.centre[1]) / self.scale[1])
        return np.stack(found)

    def limit(self, keep: float = 0.95, detector: bool = False) -> float:
        """Strangeness that the share ``keep`` of clean held-out faces does not exceed.

        Args:
            detector: of strangeness with the detector's score.

        Raises:
            ValueError: keep outside [0, 1], or no detector's score in the reference.
        """
        between("keep", keep, 0.0, 1.0)
        held = self.held_detector if detector else self.held
        if not len(held):
            raise ValueError("this reference was fitted without the detector's score")
        return float(np.quantile(held, keep, method="higher"))

    def save(self, path: str | Path) -> None:
        """Write a safetensors file, whole or not at all. Raises OutputError."""
        from safetensors.numpy import save_file

        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        with atomic_path(path) as temporary:
            save_file(arrays, temporary, {"format": FORMAT, "meta": json.dumps(dict(self.meta))})


def fit_reference(faces: Embeddings, detector_score: ArrayLike | None = None, seed: int = 0) -> FaceReference:
    """Mean and shrunk covariance (Ledoit & Wolf, 2004) of all faces; limits from faces that were left out in turn.

    Args:
        faces: clean photographs of faces, one a person, at least twice as many as the embedding has dimensions.
        detector_score: (N,) in [0, 1], see :func:`faceunc.recipes.strangeness`.
        seed: of the five groups that are left out.

    Raises:
        ValueError: too few photographs, or scores that do not fit.
    """
    least = LEAST_RATIO * faces.dim
    if len(faces) < least:
        raise ValueError(f"a reference in {faces.dim} dimensions needs {least} photographs. Got {len(faces)} instead.")
    group = np.random.default_rng([seed, 51]).permutation(len(faces)) % _GROUPS
    distance = np.empty(len(faces))
    for number in range(_GROUPS):
        distance[group == number] = _distance(faces[group == number], *_covariance(faces[group != number]))
    parts = [np.log(distance)]
    if detector_score is not None:
        parts.append(_doubt(detector_score, len(faces)))
    centre = np.array([*(part.mean() for part in parts), 0.0][:2])
    scale = np.array([*(part.std() or 1.0 for part in parts), 1.0][:2])
    units = [(part - c) / s for part, c, s in zip(parts, centre, scale, strict=False)]
    both = np.sort(np.sum(units, axis=0)) if len(units) == 2 else np.empty(0)
    meta = {key: faces.meta.get(key, "") for key in MEAN_KEYS}
    return FaceReference(*_covariance(faces), centre, scale, np.sort(units[0]), both, meta)


def _covariance(faces: Embeddings) -> tuple[Floats, Floats]:
    """Mean (D,) and inverse of the shrunk covariance (D, D)."""
    from sklearn.covariance import LedoitWolf

    model = LedoitWolf().fit(faces.mean.astype(np.float64))
    return model.location_, model.precision_


def load_reference(path: str | Path) -> FaceReference:
    """Read what :meth:`FaceReference.save` wrote. Raises InputError for a missing, foreign or damaged file."""
    metadata, state = read_weights(Path(path), FORMAT, "face reference", _MAX_BYTES)
    try:
        arrays = {name: state[name].numpy().astype(np.float64) for name in _ARRAYS}
        _check_shapes(arrays)
        meta = {str(key): str(value) for key, value in json.loads(metadata["meta"]).items()}
        return FaceReference(**arrays, meta=meta)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged face reference ({error})") from None


def shipped_reference(backbone: str) -> FaceReference:
    """The reference that is installed with faceunc for this backbone; made by scripts/face_reference.

    Raises:
        InputError: there is none.
    """
    path = Path(__file__).parent / f"{backbone}{SUFFIX}"
    if Path(backbone).name != backbone or not path.is_file():
        raise InputError(f"no face reference is shipped for the backbone {backbone!r}: make one with fit_reference")
    return load_reference(path)


def _check_shapes(arrays: Mapping[str, Floats]) -> None:
    dim, held = arrays["mean"].size, arrays["held"].size
    wanted = {"mean": (dim,), "precision": (dim, dim), "centre": (2,), "scale": (2,), "held": (held,)}
    wanted["held_detector"] = (held,) if arrays["held_detector"].size else (0,)
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape}")
    if not held or not (arrays["scale"] > 0).all():
        raise ValueError("held must not be empty, scale must be positive")


def _distance(faces: Embeddings, mean: Floats, precision: Floats) -> Floats:
    away = faces.mean.astype(np.float64) - mean
    return np.asarray(np.maximum(np.sum((away @ precision) * away, axis=1), np.finfo(np.float64).tiny))


def _doubt(detector_score: ArrayLike, count: int) -> Floats:
    """-logit of the detector's scores: higher = less of a face."""
    (score,) = vectors(detector_score=detector_score)
    if len(score) != count:
        raise ValueError(f"detector_score must be ({count},). Got {score.shape} instead.")
    between("the least detector_score", float(score.min()), 0.0, 1.0)
    between("the greatest detector_score", float(score.max()), 0.0, 1.0)
    p = np.clip(score, _LEAST_SCORE, 1.0 - _LEAST_SCORE)
    return np.asarray(np.log1p(-p) - np.log(p))
