"""The detector's score of every photograph in a view: a rival of sigma that follows the degradation."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from faceunc.images.face_score import FaceScorer
from faceunc.images.views import View
from faceunc.progress import bar
from faceunc.storage import atomic_write
from faceunc.training.cache import FeatureSource

_BATCH = 64


def detector_scores(source: FeatureSource, view: View, show: bool | None = None) -> NDArray[np.float32]:
    """MTCNN's last stage on every chip of ``view``, (N,) in [0, 1]; kept beside the view's features.

    The five points of the chip are where the alignment put them.
    """
    path = source.folder(view) / "detector_score.npy"
    try:
        scores = np.load(path)
        if scores.shape == (len(source.photos),) and scores.dtype == np.float32:
            return np.asarray(scores, np.float32)
    except (OSError, ValueError, EOFError):
        pass
    scorer, found = FaceScorer(), []
    template = np.array(source.backbone.spec.template, np.float32)
    with bar(f"detector score, {view.name}", len(source.photos), show=show) as progress:
        for _, batch in source.chips([view], _BATCH):
            chips = [row[0] for row in batch]
            found.append(scorer(chips, np.tile(template, (len(chips), 1, 1)))[0])
            progress.update(len(chips))
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(found))
    atomic_write(path, buffer.getvalue())
    return np.concatenate(found)
