"""Audits whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from faceunc.audit.collect import Audit
from faceunc.embeddings import Embeddings
from faceunc.images.measures import Measures
from faceunc.photo_batches import Quality


@pytest.fixture
def make_audit() -> Callable[..., Audit]:
    """One photograph a sigma; sharpness falls as sigma rises; two people a and b by turns, the last with none."""

    def make(sigma: list[float], dim: int = 1, meta: dict[str, str] | None = None, **more: Any) -> Audit:
        count = len(sigma)
        log_var = np.repeat(2 * np.log(np.array(sigma, np.float32))[:, None], dim, axis=1)
        mean = np.tile(np.eye(1, 4, dtype=np.float32), (count, 1))
        ids = [f"{number}.jpg" for number in range(count)]
        quality = [
            Quality(100.0, 0.99, 1, 1 / value, 1.4, measures=Measures(face_size=100, blur=0.5, yaw=-value))
            for value in sigma
        ]
        person = [*("ab"[number % 2] for number in range(count - 1)), ""]
        embeddings = Embeddings(mean, log_var, ids, None, meta or {})
        return Audit(embeddings, quality, ["set"] * count, person, [], [], **more)

    return make
