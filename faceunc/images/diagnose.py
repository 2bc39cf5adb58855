"""What is wrong with a photograph: likelihoods of simple flaws, calibrated on real LFW faces.

The table ``measure_reference.json`` is written by ``scripts/measure_reference``, from the photographs of half of LFW's
people. It holds, a kind of flaw, how likely the flaw is at a value of one measurement, and what is usual.

What a likelihood means:

- blurred, noisy, compressed, dark, bright, flat, occluded, cut: the probability that the face was degraded in this way
  beyond severity 0.4 (:mod:`faceunc.images.degrade`; "blurred" = Gaussian blur, motion blur or down-sampling; "cut": at
  severity 1 the edge of the photograph takes half of the face), where half of all faces are LFW's as they are and the
  others suffer one of nine degradations, at a severity even in [0, 1]. Isotonic regression on those faces.
- small: the share of LFW faces that look blurred (likelihood 0.5) when the photograph is reduced to this face size.
- turned: the probability that a face with this nose position does not belong to LFW's spread of poses, where half of
  all faces are LFW's and the nose of the others lies anywhere between the place that 95% of LFW's do not reach and that
  of a profile (0.8).
- tilted: the share of LFW photographs in which the detector misses or misplaces the face (landmarks off by more than
  .15 of the distance of the eyes) when they are turned by this much in the plane.

With another mix of photographs other likelihoods would be right. "occluded" is a guess and a weak one: it sees even
patches before the face, such as those it was calibrated on, and no hands, hair, masks with a pattern or glasses.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from faceunc.images.measures import Measures

REFERENCE_FILE = Path(__file__).with_name("measure_reference.json")
NAMED = 0.5  # a flaw that is less likely is not named
_WORDS = ((0.9, "very probably"), (0.75, "probably"), (NAMED, "possibly"))


@dataclass(frozen=True)
class Kind:
    """One kind of flaw: the field of :class:`Measures` it rests on (its absolute value where ``size_only``), and words.

    ``rising``: whether a larger value makes the flaw more likely. ``unit`` follows a value, ``digits`` is its rounding.
    """

    measure: str
    words: str
    rising: bool = True
    size_only: bool = False
    unit: str = ""
    digits: int = 2


FLAWS = {
    "blurred": Kind("blur", "blur"),
    "small": Kind("face_size", "face", rising=False, unit=" px", digits=0),
    "dark": Kind("brightness", "mean brightness", rising=False, digits=0),
    "bright": Kind("brightness", "mean brightness", digits=0),
    "flat": Kind("contrast", "contrast", rising=False),
    "noisy": Kind("noise", "noise", unit=" grey levels", digits=1),
    "compressed": Kind("blockiness", "block edges"),
    "turned": Kind("yaw", "nose off the middle by", size_only=True),
    "tilted": Kind("roll", "eyes at", size_only=True, unit=" degrees", digits=0),
    "occluded": Kind("flat", "even patch over the share"),
    "cut": Kind("outside", "share outside of the photograph"),
}


@dataclass(frozen=True)
class Flaw:
    """One thing that may be wrong with a photograph.

    Attributes:
        kind: a key of :data:`FLAWS`. likelihood: in [0, 1]; what it means is told at the top of this module.
        value: the measurement (NaN never). usual: where 95% of LFW's faces lie.
        sentence: for people, such as "probably blurred (blur 0.82, usual 0.45 to 0.63)".
    """

    kind: str
    likelihood: float
    value: float
    usual: tuple[float, float]
    sentence: str


def diagnose(measures: Measures, limit: float = NAMED) -> list[Flaw]:
    """Everything that is wrong with a face with a likelihood of at least ``limit``, the most likely first.

    What could not be measured (NaN) is not judged.
    """
    flaws = [flaw for flaw in (_flaw(kind, measures) for kind in FLAWS) if flaw and flaw.likelihood >= limit]
    return sorted(flaws, key=lambda flaw: -flaw.likelihood)


def likelihoods(measures: Measures) -> dict[str, float]:
    """Likelihood of every kind of flaw; NaN where it could not be measured."""
    flaws = {kind: _flaw(kind, measures) for kind in FLAWS}
    return {kind: flaw.likelihood if flaw else float("nan") for kind, flaw in flaws.items()}


def describe(flaws: Sequence[Flaw]) -> str:
    """One line for all of them: "probably blurred (...); possibly dark (...)", or "nothing conspicuous"."""
    return "; ".join(flaw.sentence for flaw in flaws) or "nothing conspicuous"


@cache
def reference() -> dict[str, Any]:
    """The shipped table: "kinds" (kind -> values "at" and "likelihood" there), "usual" (measure -> two ends)."""
    return dict(json.loads(REFERENCE_FILE.read_text("utf-8")))


def _flaw(name: str, measures: Measures) -> Flaw | None:
    kind, table = FLAWS[name], reference()["kinds"][name]
    value = float(getattr(measures, kind.measure))
    if np.isnan(value):
        return None
    measured = abs(value) if kind.size_only else value
    likelihood = float(np.interp(measured, table["at"], table["likelihood"]))
    low, high = table["usual"]
    return Flaw(name, likelihood, value, (low, high), _sentence(name, likelihood, value, low, high))


def _sentence(name: str, likelihood: float, value: float, low: float, high: float) -> str:
    kind = FLAWS[name]
    word = next((word for least, word in _WORDS if likelihood >= least), "hardly")
    shown = [f"{number:.{kind.digits}f}" for number in (abs(value) if kind.size_only else value, low, high)]
    usual = f"usual up to {shown[2]}" if kind.size_only else f"usual {shown[1]} to {shown[2]}"
    return f"{word} {name} ({kind.words} {shown[0]}{kind.unit}, {usual})"
