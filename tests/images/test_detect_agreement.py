"""Agreement of detectors, on boxes whose overlap is known."""

from __future__ import annotations

import numpy as np
import pytest

from faceunc.errors import InputError
from faceunc.images.detect import Detection
from faceunc.images.detect_agreement import compare_detections, overlap


def face(left: float, shift: float = 0.0) -> Detection:
    """A face of 10 x 10 pixels."""
    points = np.full((5, 2), shift, np.float32)
    return Detection(points, np.array([left, 0, left + 10, 10], np.float32), 1.0, 1)


def test_counts() -> None:
    reference = [face(0), face(0), None, None, face(0), face(0)]
    found = [face(2, 3.0), None, face(0), None, face(8), face(0)]
    agreement = compare_detections(reference, found)
    assert (agreement.missed, agreement.added, agreement.other) == (1, 1, 1)
    assert agreement.share == pytest.approx(0.5)
    np.testing.assert_allclose(agreement.shift, [3 * np.sqrt(2), 0.0], rtol=1e-6)
    assert agreement.figures()["landmark shift, largest"] == pytest.approx(3 * np.sqrt(2))


def test_overlap() -> None:
    assert overlap(face(0).box, face(0).box) == 1.0
    assert overlap(face(0).box, face(5).box) == pytest.approx(50 / 150)
    assert overlap(face(0).box, face(20).box) == 0.0
    assert overlap(np.zeros(4), np.zeros(4)) == 0.0


def test_no_common_face() -> None:
    figures = compare_detections([None], [None]).figures()
    assert figures["share"] == 1.0
    assert np.isnan(figures["landmark shift, median"])


def test_refuses_what_cannot_be_compared() -> None:
    for reference, found in (([], []), ([None], [])):
        with pytest.raises(InputError, match="as many detections"):
            compare_detections(reference, found)
