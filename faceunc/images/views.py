"""Views: what is made of one photograph before it is embedded (aligned, perhaps degraded, perhaps mirrored)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceunc.images.degrade import CLEAN, Degradation, degrade, draw_degradation


@dataclass(frozen=True)
class View:
    """One way to look at every photograph of a set.

    Attributes:
        mix_seed: None leaves the chip as it is; a number degrades it by the standard mix, drawn per image from this
            seed.
        flip: mirror the chip, after the degradation.
    """

    mix_seed: int | None = None
    flip: bool = False

    @property
    def name(self) -> str:
        """Names the view in caches and tables: "clean", "mix-3", "clean-flip"."""
        base = "clean" if self.mix_seed is None else f"mix-{self.mix_seed}"
        return base + ("-flip" if self.flip else "")

    def degradation(self, image_id: str) -> Degradation:
        """What this view does to the image of that name."""
        return CLEAN if self.mix_seed is None else draw_degradation(self.mix_seed, image_id)

    def apply(self, chip: NDArray[np.uint8], image_id: str) -> NDArray[np.uint8]:
        """Make the view of an aligned RGB chip (S, S, 3)."""
        out = degrade(chip, self.degradation(image_id))
        return np.ascontiguousarray(out[:, ::-1]) if self.flip else out


def sharpness(chip: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey chip: the usual trivial measure of focus; higher = sharper."""
    response = cv2.Laplacian(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), cv2.CV_16S)  # whole numbers, at most 4 x 255
    return float(cv2.norm(response, cv2.NORM_L2SQR) / response.size - cv2.mean(response)[0] ** 2)
