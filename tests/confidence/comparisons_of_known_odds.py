"""Comparisons drawn from a known law, for the tests of this folder."""

from __future__ import annotations

import numpy as np

from faceunc.confidence import Evidence
from faceunc.confidence.models import MODELS

KINDS = tuple(MODELS)


def drawn(count: int = 6000, seed: int = 0, epistemic: bool = False) -> tuple[Evidence, np.ndarray]:
    """Comparisons whose true log-likelihood ratio is known: noise grows with sigma."""
    rng = np.random.default_rng(seed)
    same = rng.uniform(size=count) < 0.3
    sigma = -np.sort(-rng.uniform(0.02, 0.1, (count, 2)), axis=1)
    similarity = np.where(same, 0.7, 0.4) + rng.normal(size=count) * 2 * sigma[:, 0]
    mls = 300 * (similarity - 0.55) * 0.05 / sigma[:, 0]
    images = np.sort(rng.integers(1, 4, (count, 2)), axis=1).astype(float)
    return Evidence(similarity, mls, sigma, images, rng.uniform(size=count) * 1e-4 if epistemic else None), same
