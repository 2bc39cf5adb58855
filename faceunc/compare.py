"""One comparison of two photographs, with what speaks against trusting it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from faceunc.embedder import Embedder, Photo, Quality
from faceunc.errors import ImageError
from faceunc.scoring.embedded import score_pairs


@dataclass(frozen=True)
class Comparison:
    """Two faces compared.

    Attributes:
        photos: ids of both. similarity: cosine in [-1, 1]. mls: mutual likelihood score, nats, the paper's form.
        sigma: uncertainty of both, on the unit sphere. quality: simple facts of both.
    """

    photos: tuple[str, str]
    similarity: float
    mls: float
    sigma: tuple[float, float]
    quality: tuple[Quality, Quality]

    @property
    def poorer(self) -> int:
        """0 or 1: the photograph with the larger sigma."""
        return int(self.sigma[1] > self.sigma[0])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready (NaN becomes null)."""
        quality = [{k: None if v != v else v for k, v in asdict(q).items()} for q in self.quality]
        return {**asdict(self), "quality": quality, "poorer": self.photos[self.poorer]}

    def text(self) -> str:
        """For a terminal."""
        lines = [f"similarity  {self.similarity:+.4f}   (cosine)", f"MLS         {self.mls:.1f} nats"]
        for name, sigma, quality in zip(self.photos, self.sigma, self.quality, strict=True):
            face = "chip given" if np.isnan(quality.face_size) else f"face {quality.face_size:.0f} px"
            several = f", {quality.faces} faces, one chosen" if quality.faces > 1 else ""
            lines.append(f"sigma       {sigma:.4f}   {name} ({face}, sharpness {quality.sharpness:.0f}{several})")
        ratio = max(self.sigma) / max(min(self.sigma), 1e-12)
        verdict = (
            "both photos are equally certain" if ratio < 1.02 else f"the poorer photo is {self.photos[self.poorer]}"
        )
        return "\n".join([*lines, verdict])


def compare(embedder: Embedder, first: Photo, second: Photo) -> Comparison:
    """Embed two photographs and compare them.

    Raises:
        ImageError: one of them cannot be used.
    """
    batch = next(iter(embedder.batches([first, second])))
    if batch.failures:
        raise ImageError(batch.failures[0].kind, batch.failures[0].message)
    faces = batch.embeddings
    sigma = faces.sigma
    return Comparison(
        (faces.ids[0], faces.ids[1]),
        float(score_pairs(faces[:1], faces[1:], "cosine")[0]),
        float(score_pairs(faces[:1], faces[1:], "mls")[0]),
        (float(sigma[0]), float(sigma[1])),
        (batch.quality[0], batch.quality[1]),
    )
