"""What a calibrator reads of a comparison: how alike, how likely, how uncertain both sides, of how many photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceunc.embeddings import Embeddings
from faceunc.errors import IncompatibleError
from faceunc.scoring.embedded import score_pairs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_LEAST_SIGMA = 1e-8  # a logarithm of it is taken


@dataclass(frozen=True)
class Evidence:
    """P comparisons of a first with a second side; swapping the sides changes nothing.

    Attributes:
        similarity: (P,) cosine in [-1, 1]. mls: (P,) mutual likelihood score in nats, the paper's form.
        sigma: (P, 2) of the sides, on the unit sphere, the larger one first.
        images: (P, 2) photographs in the templates, the smaller number first; 1 for a single photograph.
        epistemic: optional (P,), the larger epistemic variance of the sides.
    """

    similarity: Floats
    mls: Floats
    sigma: Floats
    images: Floats
    epistemic: Floats | None = None

    def __post_init__(self) -> None:
        count = len(self.similarity)
        shapes = {"mls": (count,), "sigma": (count, 2), "images": (count, 2), "epistemic": (count,)}
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} must be {shape}. Got {value.shape} instead.")

    def __len__(self) -> int:
        return len(self.similarity)

    def __getitem__(self, rows: slice | NDArray[np.generic]) -> Evidence:
        epistemic = None if self.epistemic is None else self.epistemic[rows]
        return Evidence(self.similarity[rows], self.mls[rows], self.sigma[rows], self.images[rows], epistemic)

    @property
    def poorer(self) -> Floats:
        """(P,) sigma of the less certain side."""
        return self.sigma[:, 0]

    def columns(self) -> Floats:
        """(P, 6 or 7) inputs of the monotone model, see :data:`COLUMNS`; logarithms of sigmas and counts."""
        logs = np.log(np.maximum(self.sigma, _LEAST_SIGMA))
        parts = [self.similarity[:, None], self.mls[:, None], logs, np.log(self.images)]
        if self.epistemic is not None:
            parts.append(np.log(np.maximum(self.epistemic, _LEAST_SIGMA**2))[:, None])
        return np.concatenate(parts, axis=1)


COLUMNS = (
    "similarity",
    "mls",
    "sigma of the poorer",
    "sigma of the better",
    "fewer images",
    "more images",
    "epistemic",
)
RISING = (1, 1, 0, 0, 0, 0, 0)  # the odds of one person rise with what is marked 1


def pair_evidence(
    first: Embeddings, second: Embeddings, first_images: ArrayLike = 1, second_images: ArrayLike = 1
) -> Evidence:
    """Row i of ``first`` against row i of ``second``.

    Args:
        first_images, second_images: how many photographs each row was fused of: a number for all, or (P,).

    Raises:
        IncompatibleError: different backbone, alignment or head; an epistemic uncertainty on one side only.
        ValueError: other lengths, or a count below 1.
    """
    similarity, mls = score_pairs(first, second, "cosine"), score_pairs(first, second, "mls")
    counts = np.stack([_counts(first_images, len(first)), _counts(second_images, len(second))], axis=1)
    sigma = np.stack([first.sigma, second.sigma], axis=1).astype(np.float64)
    if (first.epistemic is None) != (second.epistemic is None):
        raise IncompatibleError("one side carries an epistemic uncertainty, the other does not")
    epistemic = None
    if first.epistemic is not None and second.epistemic is not None:
        epistemic = np.maximum(first.epistemic, second.epistemic).astype(np.float64)
    return Evidence(
        similarity.astype(np.float64),
        mls.astype(np.float64),
        -np.sort(-sigma, axis=1),
        np.sort(counts, axis=1),
        epistemic,
    )


def join_evidence(parts: Sequence[Evidence]) -> Evidence:
    """Comparisons of several origins, one after the other. Raises ValueError when some lack an epistemic column."""
    epistemic = [part.epistemic for part in parts if part.epistemic is not None]
    if 0 < len(epistemic) < len(parts):
        raise ValueError(f"epistemic must be there in all parts or in none. Got {len(epistemic)} of {len(parts)}.")
    return Evidence(
        np.concatenate([part.similarity for part in parts]),
        np.concatenate([part.mls for part in parts]),
        np.concatenate([part.sigma for part in parts]),
        np.concatenate([part.images for part in parts]),
        np.concatenate(epistemic) if epistemic else None,
    )


def _counts(images: ArrayLike, length: int) -> Floats:
    values = np.broadcast_to(np.asarray(images, np.float64), (length,))
    if length and not values.min() >= 1:
        raise ValueError(f"a template must hold at least 1 photograph. Got {values.min():g} instead.")
    return values
