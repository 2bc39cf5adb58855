"""How much two photographs of one person tell twice: the correlation of their errors, read off their embeddings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings

Floats = NDArray[np.float64]


def error_covariance(faces: Embeddings) -> Floats:
    """Covariance of the errors of n photographs of ONE person, summed over dimensions, (n, n).

    If photograph i is the person plus an error of variance v_i, then ``|x_i - x_j|^2`` is expected to be
    ``sum_d (v_i + v_j) - 2 c_ij``. Two photographs that lie closer together than their variances allow share a part of
    their errors: that part is ``c_ij``, kept within 0 and ``sum_d sd_i sd_j``, so that the implied correlation lies in
    [0, 1]. In :func:`faceunc.scoring.fuse` one number, ``rho``, stands for all pairs.
    """
    variance, mean = np.exp(faces.log_var.astype(np.float64)), faces.mean.astype(np.float64)
    times = faces.dim / variance.shape[1]  # one variance for all dimensions counts for each of them
    total, deviation = times * variance.sum(axis=1), np.sqrt(variance)
    most = times * (deviation @ deviation.T)
    distance = 2.0 - 2.0 * mean @ mean.T
    covariance = np.clip((total[:, None] + total[None, :] - distance) / 2.0, 0.0, most)
    np.fill_diagonal(covariance, total)
    return np.asarray(covariance)
