"""The kinds of degradation in words: what a severity means in pixels, grey levels or per cent. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SEVERITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
CLEAN_KIND = "none"
SIDES = ("both", "second")


@dataclass(frozen=True)
class Kind:
    """One kind of :data:`faceunc.images.degrade.KINDS`.

    Attributes:
        label: for an axis, with the unit. amount: severity in (0, 1] -> that amount, as a text.
    """

    label: str
    amount: Callable[[float], str]


DESCRIBED = {
    "blur": Kind("Gaussian blur: sigma, px of the chip", lambda s: f"{0.5 + 6.0 * s:.1f}"),
    "motion": Kind("motion blur: length, px of the chip", lambda s: f"{3.0 + 30.0 * s:.0f}"),
    "downsample": Kind("down-sampling: side of the chip, px", lambda s: f"{100.0 * 0.12**s:.0f}"),
    "noise": Kind("noise: standard deviation, grey levels", lambda s: f"{5.0 + 75.0 * s:.0f}"),
    "jpeg": Kind("JPEG: quality", lambda s: f"{90.0 - 80.0 * s:.0f}"),
    "occlusion": Kind("occlusion: side of the square, % of the chip's", lambda s: f"{60.0 * s:.0f}"),
    "brightness": Kind("light: nearer to black or white by, %", lambda s: f"{90.0 * s:.0f}"),
    "contrast": Kind("light: contrast lost, %", lambda s: f"{95.0 * s:.0f}"),
    "combined": Kind("mixed: severity of each", lambda s: f"{s:g}"),
}
DEFAULT_KINDS = tuple(name for name in DESCRIBED if name != "combined")


def amount(kind: str, severity: float) -> str:
    """What ``severity`` of ``kind`` is, in the unit of its label; "clean" at severity 0, where nothing is done."""
    return "clean" if severity == 0.0 or kind == CLEAN_KIND else DESCRIBED[kind].amount(severity)
