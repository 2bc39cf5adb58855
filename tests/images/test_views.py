"""Views: clean, degraded, mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from faceunc.images.degrade import CLEAN, Degradation, degrade, draw_degradation
from faceunc.images.views import View, sharpness


@pytest.fixture(scope="module")
def chip(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return astronaut[50:170, 160:280]


@pytest.mark.parametrize(
    ("view", "name"),
    [
        (View(), "clean"),
        (View(flip=True), "clean-flip"),
        (View(0), "mix-0"),
        (View(3, flip=True), "mix-3-flip"),
    ],
)
def test_name(view: View, name: str) -> None:
    assert view.name == name


def test_clean_view(chip: NDArray[np.uint8]) -> None:
    assert View().degradation("a") == CLEAN
    np.testing.assert_array_equal(View().apply(chip, "a"), chip)


def test_mix_view_is_drawn_by_name(chip: NDArray[np.uint8]) -> None:
    for name in ("a", "b"):
        np.testing.assert_array_equal(View(2).apply(chip, name), degrade(chip, draw_degradation(2, name)))
    assert View(2).degradation("a") != View(2).degradation("b")
    assert View(2).degradation("a") != View(3).degradation("a")


@pytest.mark.parametrize("seed", [None, 4])
def test_flip_comes_after_the_degradation(seed: int | None, chip: NDArray[np.uint8]) -> None:
    flipped = View(seed, flip=True).apply(chip, "a")
    np.testing.assert_array_equal(flipped, View(seed).apply(chip, "a")[:, ::-1])
    assert flipped.flags.c_contiguous


def test_sharpness_falls_with_blur(chip: NDArray[np.uint8]) -> None:
    chip = np.ascontiguousarray(chip)
    values = [sharpness(degrade(chip, Degradation("blur", severity))) for severity in (0.0, 0.3, 1.0)]
    assert sharpness(chip) > values[0] > values[1] > values[2] > 0.0
    assert sharpness(np.full_like(chip, 9)) == 0.0
