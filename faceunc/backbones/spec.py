"""What a backbone expects and gives, in one record that travels with it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceunc.errors import InputError

MAX_SIDE = 1024  # of chips and feature maps, in pixels
MAX_LENGTH = 65_536  # of embeddings, and channels of feature maps
MAX_NUMBERS = 1 << 24  # of one chip's feature map: 64 MiB
Point = tuple[float, float]


@dataclass(frozen=True)
class BackboneSpec:
    """Preprocessing, geometry and origin of one embedding model.

    Raises InputError for sizes outside of the bounds above and for numbers that are not finite: specs come in files.

    Attributes:
        name: short name, stored with every embedding.
        input_size: side of the square chip in pixels.
        colour: channel order that the model wants, "RGB" or "BGR" (chips are always RGB; the order is turned for you).
        mean, scale: the model's input is ``(pixel - mean) * scale``, ``mean`` per channel in the model's order.
        template: where the five landmarks lie in the chip: eyes, nose, mouth corners, image left first; (x, y) in
            pixels.
        dim: length of the embedding.
        feature_shape: (channels, height, width) of the feature map.
        licence, origin: of the weights.
        sha256: of the weights' source; empty for a module that was handed over in memory.
    """

    name: str
    input_size: int
    colour: str
    mean: tuple[float, float, float]
    scale: float
    template: tuple[Point, Point, Point, Point, Point]
    dim: int
    feature_shape: tuple[int, int, int]
    licence: str = "unknown"
    origin: str = "unknown"
    sha256: str = ""

    def __post_init__(self) -> None:
        if not (self.name.isprintable() and 1 <= len(self.name) <= 200):
            raise InputError(
                f"backbone spec: name must be 1 to 200 printable characters. Got {self.name[:200]!r} instead."
            )
        for good, field, expected in self._checks():
            if not good:
                got = repr(getattr(self, field))
                got = got if len(got) <= 200 else f"{got[:200]}..."
                raise InputError(f"backbone spec {self.name}: {field} must be {expected}. Got {got} instead.")

    def _checks(self) -> Iterator[tuple[bool, str, str]]:
        """(whether a field is good, its name, what is expected of it), the cheapest first."""
        yield self.colour in ("RGB", "BGR"), "colour", "RGB or BGR"
        yield 8 <= self.input_size <= MAX_SIDE, "input_size", f"a side of 8 to {MAX_SIDE} pixels"
        yield len(self.mean) == 3 and all(map(math.isfinite, self.mean)), "mean", "three finite numbers"
        yield math.isfinite(self.scale), "scale", "a finite number"
        points = len(self.template) == 5 and all(len(p) == 2 and all(map(math.isfinite, p)) for p in self.template)
        yield points, "template", "5 x 2 finite numbers"
        yield 1 <= self.dim <= MAX_LENGTH, "dim", f"a length of 1 to {MAX_LENGTH:,}"
        shape, most = self.feature_shape, (MAX_LENGTH, MAX_SIDE, MAX_SIDE)
        good = len(shape) == 3 and all(1 <= side <= limit for side, limit in zip(shape, most, strict=True))
        sizes = f"(channels, height, width) from 1 to {most}, {MAX_NUMBERS:,} numbers in all"
        yield good and math.prod(shape) <= MAX_NUMBERS, "feature_shape", sizes

    @property
    def alignment(self) -> str:
        """Names the alignment in an embedding's meta: two backbones with one template share it."""
        points = ",".join(f"{x:g}:{y:g}" for x, y in self.template)
        return f"5pt-{self.input_size}-{points}"


def spec_from_dict(values: dict[str, Any], source: str | Path) -> BackboneSpec:
    """Build a spec from decoded JSON; unknown or missing fields give an error that names ``source``."""
    known = set(BackboneSpec.__dataclass_fields__)
    extra, missing = set(values) - known, known - set(values) - {"licence", "origin", "sha256"}
    if extra or missing:
        unknown = str(sorted(extra))[:200]
        raise InputError(f"{source}: backbone spec with missing fields {sorted(missing)}, unknown fields {unknown}")
    try:
        return BackboneSpec(
            name=str(values["name"]),
            input_size=_whole(values["input_size"]),
            colour=str(values["colour"]),
            mean=tuple(float(v) for v in values["mean"]),  # type: ignore[arg-type]
            scale=float(values["scale"]),
            template=tuple((float(x), float(y)) for x, y in values["template"]),  # type: ignore[arg-type]
            dim=_whole(values["dim"]),
            feature_shape=tuple(_whole(v) for v in values["feature_shape"]),  # type: ignore[arg-type]
            licence=str(values.get("licence", "unknown")),
            origin=str(values.get("origin", "unknown")),
            sha256=str(values.get("sha256", "")),
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{source}: bad value in the backbone spec ({error})") from None


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, float) and value != number:
        raise ValueError(f"expected a whole number, got {value}")
    return number


def spec_to_json(spec: BackboneSpec) -> str:
    """The spec as JSON, readable by :func:`spec_from_dict`."""
    return json.dumps(asdict(spec), sort_keys=True)
