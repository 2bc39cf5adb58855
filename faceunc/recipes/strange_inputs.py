"""Inputs that are no faces, or unlike all that the model was made for.

Sigma does not tell them from poor photographs: a blurred face is poor, but it is a face. Two things do: how far the
frozen embedding lies from where clean faces' embeddings lie (Mahalanobis: Lee et al., NeurIPS 2018), and the detector's
own score of the chip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import Embeddings
from faceunc.recipes.face_reference import FaceReference, shipped_reference

Floats = NDArray[np.float64]


def strangeness(
    faces: Embeddings, reference: FaceReference | None = None, detector_score: ArrayLike | None = None
) -> Floats:
    """How strange each input is, (N,), in deviations from what is usual among clean faces; higher = stranger.

    Args:
        reference: from :func:`faceunc.recipes.fit_reference`, of this backbone; None: the one that is shipped for it.
        detector_score: (N,) of each chip, such as :class:`faceunc.images.face_score.FaceScorer` gives at the five
            points of the alignment, in the reference as here; its doubt is added to the distance, both in deviations.

    Raises:
        IncompatibleError: another backbone. InputError: none is shipped for it. ValueError: scores that do not fit, or
            that the reference lacks.
    """
    reference = reference or shipped_reference(faces.meta.get("backbone", ""))
    return np.asarray(reference.parts(faces, detector_score).sum(axis=0))


def flag_strange(
    faces: Embeddings,
    reference: FaceReference | None = None,
    detector_score: ArrayLike | None = None,
    keep: float = 0.95,
) -> NDArray[np.bool_]:
    """(N,) True where the input is stranger than the share ``keep`` of clean held-out faces. Errors as above."""
    reference = reference or shipped_reference(faces.meta.get("backbone", ""))
    limit = reference.limit(keep, detector_score is not None)
    return np.asarray(strangeness(faces, reference, detector_score) > limit)
