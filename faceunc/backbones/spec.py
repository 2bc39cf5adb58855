"""What a backbone expects and gives, in one record that travels with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faceunc.errors import InputError

Point = tuple[float, float]


@dataclass(frozen=True)
class BackboneSpec:
    """Preprocessing, geometry and origin of one embedding model.

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
        problems = [
            (self.colour in ("RGB", "BGR"), "colour", "RGB or BGR", self.colour),
            (self.input_size >= 8, "input_size", "a side of at least 8 pixels", self.input_size),
            (len(self.mean) == 3, "mean", "three numbers", self.mean),
            (len(self.template) == 5 and all(len(p) == 2 for p in self.template), "template", "5 x 2", self.template),
            (len(self.feature_shape) == 3, "feature_shape", "(channels, height, width)", self.feature_shape),
            (self.dim >= 1, "dim", "a positive length", self.dim),
        ]
        for good, field, expected, got in problems:
            if not good:
                raise InputError(f"backbone spec {self.name}: {field} must be {expected}. Got {got} instead.")

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
        raise InputError(
            f"{source}: backbone spec with missing fields {sorted(missing)}, unknown fields {sorted(extra)}"
        )
    try:
        return BackboneSpec(
            name=str(values["name"]),
            input_size=int(values["input_size"]),
            colour=str(values["colour"]),
            mean=tuple(float(v) for v in values["mean"]),  # type: ignore[arg-type]
            scale=float(values["scale"]),
            template=tuple((float(x), float(y)) for x, y in values["template"]),  # type: ignore[arg-type]
            dim=int(values["dim"]),
            feature_shape=tuple(int(v) for v in values["feature_shape"]),  # type: ignore[arg-type]
            licence=str(values.get("licence", "unknown")),
            origin=str(values.get("origin", "unknown")),
            sha256=str(values.get("sha256", "")),
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{source}: bad value in the backbone spec ({error})") from None


def spec_to_json(spec: BackboneSpec) -> str:
    """The spec as JSON, readable by :func:`spec_from_dict`."""
    return json.dumps(asdict(spec), sort_keys=True)
