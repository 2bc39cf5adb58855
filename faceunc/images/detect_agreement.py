"""Do two detectors find the same faces?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.images.detect import Detection

SAME = 0.5  # least intersection over union of two boxes of one face


@dataclass(frozen=True)
class Agreement:
    """How far one detector's chosen faces are those of a reference, over N photographs.

    Attributes:
        photographs: N. missed: no face where the reference has one. added: a face where the reference has none.
        other: both have a face, whose boxes overlap by less than :data:`SAME` (intersection over union).
        shift: mean distance of the five landmarks in pixels where both have the same face, (N - missed - added - other
            - neither,).
    """

    photographs: int
    missed: int
    added: int
    other: int
    shift: NDArray[np.float64]

    @property
    def share(self) -> float:
        """Of the photographs: both have no face, or the same one."""
        return 1.0 - (self.missed + self.added + self.other) / self.photographs

    def figures(self) -> dict[str, float]:
        """JSON-ready: counts, the share, and quantiles of the shift in pixels."""
        counts = {name: getattr(self, name) for name in ("photographs", "missed", "added", "other", "share")}
        quantiles = {"median": 0.5, "p99": 0.99, "largest": 1.0}
        none = {f"landmark shift, {name}": float("nan") for name in quantiles}
        if not len(self.shift):
            return counts | none
        return counts | {f"landmark shift, {name}": float(np.quantile(self.shift, q)) for name, q in quantiles.items()}


def compare_detections(reference: Sequence[Detection | None], found: Sequence[Detection | None]) -> Agreement:
    """Hold the faces that were found in some photographs against those of a reference, in the same order.

    Raises:
        InputError: when there are none, or not as many.
    """
    if not reference or len(reference) != len(found):
        raise InputError(
            f"expected as many detections as references, at least one. Got {len(found)} and {len(reference)}."
        )
    missed = added = other = 0
    shift = []
    for one, two in zip(reference, found, strict=True):
        if one is None or two is None:
            missed += two is None and one is not None
            added += one is None and two is not None
        elif overlap(one.box, two.box) < SAME:
            other += 1
        else:
            shift.append(float(np.linalg.norm(one.landmarks - two.landmarks, axis=1).mean()))
    return Agreement(len(reference), missed, added, other, np.asarray(shift, np.float64))


def overlap(one: NDArray[np.floating], two: NDArray[np.floating]) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2), in [0, 1]."""
    sides = np.minimum(one[2:], two[2:]) - np.maximum(one[:2], two[:2])
    both = float(np.prod(np.maximum(sides, 0.0)))
    whole = float(np.prod(one[2:] - one[:2]) + np.prod(two[2:] - two[:2])) - both
    return both / whole if whole > 0 else 0.0
