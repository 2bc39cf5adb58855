"""The public-domain photograph that needs no data: Eileen Collins, by NASA, as scikit-image carries it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def astronaut() -> NDArray[np.uint8]:
    """RGB uint8 (512, 512, 3), one face."""
    from skimage import data

    return np.asarray(data.astronaut(), np.uint8)  # type: ignore[no-untyped-call]
