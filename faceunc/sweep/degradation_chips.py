"""Chips in memory, degraded and embedded on the fly: a sweep would fill a disk with feature maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from faceunc.evaluation.bench import Bench
from faceunc.images.degrade import CLEAN, Degradation, image_seed
from faceunc.images.landmarks import Landmarks
from faceunc.images.views import View, sharpness
from faceunc.progress import bar
from faceunc.sweep.degradation_kinds import CLEAN_KIND
from faceunc.training.cache import Features, FeatureSource
from faceunc.training.crossfit import CrossFit

_BATCH = 64


@dataclass(frozen=True)
class KindView(View):
    """Every photograph degraded by one kind at one severity; what is random in it follows from image and ``seed``.

    Severity 0 is the clean photograph (not the kind's mildest form). With one seed an image keeps its angle, place or
    colour from severity to severity.
    """

    kind: str = CLEAN_KIND
    severity: float = 0.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Names the view: "blur-0.2-seed101"."""
        return f"{self.kind}-{self.severity:g}-seed{self.seed}" + ("-flip" if self.flip else "")

    def degradation(self, image_id: str) -> Degradation:
        """What this view does to the image of that name."""
        if self.kind == CLEAN_KIND or self.severity == 0.0:
            return CLEAN
        return Degradation(self.kind, self.severity, image_seed(self.seed, image_id))


@dataclass(frozen=True)
class ChipSource(FeatureSource):
    """Photographs whose aligned chips are in memory. Features of a view are computed when asked for, and not kept.

    Attributes:
        aligned: uint8 (N, S, S, 3), the clean chips. done: is told how many more chips have been embedded.
    """

    aligned: NDArray[np.uint8]
    done: Callable[[int], object]

    def features(self, views: Sequence[View], show: bool | None = None) -> dict[View, Features]:
        """Features of each view, in memory; feature maps as float16, as they are where heads are trained."""
        return {view: self._compute_view(view) for view in views}

    def _compute_view(self, view: View) -> Features:
        spec, count = self.backbone.spec, len(self.photos)
        mean, norm = np.empty((count, spec.dim), np.float32), np.empty(count, np.float32)
        feature_map, sharp = np.empty((count, *spec.feature_shape), np.float16), np.empty(count, np.float32)
        for start, rows in self.chips([view], _BATCH):
            chips = np.stack([row[0] for row in rows])
            part = slice(start, start + len(chips))
            output = self.backbone(chips)
            mean[part], norm[part], feature_map[part] = output.mean, output.norm, output.feature_map
            sharp[part] = [sharpness(chip) for chip in chips]
            self.done(len(chips))
        return Features(mean, feature_map, norm, sharp)

    def _views_of(self, row: int, views: Sequence[View]) -> list[NDArray[np.uint8]]:
        return [view.apply(self.aligned[row], self.photos.ids[row]) for view in views]


def subset_bench(bench: Bench, images: Sequence[str], done: Callable[[int], object]) -> Bench:
    """The bench of these photographs only (S x S x 3 bytes of memory each), whose source is a :class:`ChipSource`."""
    rows = np.array([bench.source.photos.index[name] for name in images], np.int64)
    source = bench.source
    landmarks = Landmarks(**{f.name: getattr(source.landmarks, f.name)[rows] for f in fields(Landmarks)})
    photos = source.photos.subset(rows.tolist())
    plain = FeatureSource(photos, landmarks, source.detector_name, source.backbone, source.cache)
    aligned = _align(plain, bench.options.show)
    held = ChipSource(photos, landmarks, source.detector_name, source.backbone, source.cache, aligned, done)
    heads = {name: CrossFit(fit.part[rows], fit.heads, fit.collapse, fit.seconds) for name, fit in bench.heads.items()}
    return Bench(bench.options, held, heads)


def _align(source: FeatureSource, show: bool | None) -> NDArray[np.uint8]:
    side = source.backbone.spec.input_size
    aligned = np.empty((len(source.photos), side, side, 3), np.uint8)
    with bar("align", len(source.photos), show=show) as progress:
        for start, rows in source.chips([View()], _BATCH):
            aligned[start : start + len(rows)] = np.stack([row[0] for row in rows])
            progress.update(len(rows))
    return aligned
