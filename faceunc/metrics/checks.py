"""The one door check of all metrics on scores and labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.metrics.values import binary


def scores_and_labels(scores: ArrayLike, same: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Return 1-D arrays of one length, scores finite, both labels present. Integer scores become float64.

    Raises:
        ValueError: otherwise, saying what was expected and what came.
    """
    values, given = np.asarray(scores), np.asarray(same)
    if values.ndim != 1 or values.shape != given.shape:
        raise ValueError(f"scores and same must be (P,) both. Got {values.shape} and {given.shape} instead.")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"scores must be real numbers. Got {values.dtype} instead.")
    labels = given if given.dtype == bool else binary("same", given, len(values))
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"scores must be finite. Got {int((~np.isfinite(values)).sum())} NaN or infinite values.")
    if labels.all() or not labels.any():
        raise ValueError(
            f"same must hold genuine and impostor pairs. Got {int(labels.sum())} genuine of {len(labels)}."
        )
    return values, labels
