"""The embedder: called on paths or arrays it gives Embeddings. ``faceunc.load`` makes one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.detection.sigma import DetectorSigma
from faceunc.embeddings import Embeddings, concatenate
from faceunc.epistemic.decomposition import decompose_embeddings
from faceunc.epistemic.dropout import McDropout
from faceunc.errors import ImageError, IncompatibleError, InputError
from faceunc.heads.ensemble import EnsembleHead
from faceunc.heads.store import StoredHead
from faceunc.images.chips import cut_chip, given_chip
from faceunc.images.detect import Detection, FaceDetector
from faceunc.images.measures import STANDARD_SIDE, STANDARD_TEMPLATE
from faceunc.photo_batches import BATCH, Batch, Failure, Group, Photo, Quality, group_photos, quality_of, read_ahead
from faceunc.provenance import version
from faceunc.threads import in_order, turns


class Embedder:
    """Photographs -> :class:`Embeddings`.

    Args:
        backbone: frozen embedding model. head: a head trained on this backbone.
        select: which face counts: "largest" or "central".
        aligned: True when the photographs are aligned chips already (square, of any size): no detection.
        min_face_size: smallest face that is looked for, in pixels.
        dropout: MC dropout of this backbone, for ``epistemic``; an ensemble head gives its own instead.
        detector_sigma: see :meth:`use_detector_sigma`.
        detector: one of :data:`faceunc.images.detect.DETECTORS`.
        measure: measure the flaws of every photograph (:class:`faceunc.images.measures.Measures`), half a millisecond
            each; without it they are NaN.

    Raises:
        IncompatibleError: the head belongs to another backbone, or ``dropout`` comes with a head that moves the mean.
        InputError: ``detector_sigma`` where nothing is detected; elsewhere an unknown ``select`` or ``detector``.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: StoredHead,
        select: str = "largest",
        aligned: bool = False,
        min_face_size: int = 40,
        dropout: McDropout | None = None,
        detector_sigma: DetectorSigma | None = None,
        detector: str = "mtcnn",
        measure: bool = True,
    ) -> None:
        head.check_backbone(backbone.spec)
        if dropout is not None and head.head.moves_mean:
            raise IncompatibleError(
                f"head {head.name} moves the mean: dropout in the backbone would speak of another one"
            )
        self.dropout = dropout
        self.backbone, self.head, self.aligned = backbone, head, aligned
        self._select, self._min_face_size, self._detector, self._measure = select, min_face_size, detector, measure
        self._whole_turns = turns(backbone)
        self._one_at_a_time = Lock()  # parts that keep a state while they work
        self.detector_sigma: DetectorSigma | None = None
        if detector_sigma is not None:
            self.use_detector_sigma(detector_sigma)
        if not aligned:
            _ = self.detector  # an unknown name is told here, and threads find it loaded

    def use_detector_sigma(self, detector_sigma: DetectorSigma) -> None:
        """From now on every photograph's quality says how uncertain its detection is.

        Raises:
            InputError: when the photographs are aligned chips.
        """
        if self.aligned:
            raise InputError("a detector's sigma needs photographs to detect in, not aligned chips")
        self.detector_sigma = detector_sigma

    @cached_property
    def detector(self) -> FaceDetector:
        """MTCNN; loaded here at once unless the photographs are aligned chips."""
        return FaceDetector(self._select, self._min_face_size, kind=self._detector)

    @property
    def meta(self) -> dict[str, str]:
        """What every embedding of this embedder says of its origin."""
        spec, precision = self.backbone.spec, self.backbone.precision
        plain = "torch-bf16" if precision == "bfloat16" else "torch"
        return {
            "backbone": spec.name,
            "backbone_sha256": spec.sha256,
            "alignment": spec.alignment,
            "precision": precision,
            "engine": getattr(self.backbone, "name", plain),
            "detector": "none (chips given)" if self.aligned else self.detector.name,
            "head": self.head.name,
            "head_sha256": self.head.sha256,
            "method": self.head.method,
            "mean": self.head.sha256 if self.head.head.moves_mean else "",
            "epistemic": self._epistemic_name(),
            "detector_sigma": self.detector_sigma.name if self.detector_sigma else "",
            "faceunc": version(),
        }

    def _epistemic_name(self) -> str:
        if isinstance(self.head.head, EnsembleHead) and self.head.head.moves_mean:
            return f"ensemble of {len(self.head.head.heads)}, and in log_var, which is the total"
        if self.dropout is None:
            return "none"
        plan = self.dropout.plan
        places = [*(f"block {number}" for number in plan.after_blocks), *["bottleneck"] * plan.before_bottleneck]
        return f"dropout {plan.rate:g} x {self.dropout.passes} ({', '.join(places)})"

    def __call__(self, photos: Sequence[Photo] | Photo, strict: bool = False) -> Embeddings:
        """Embed paths or RGB arrays (uint8 or uint16, (H, W), (H, W, 3) or (H, W, 4)), in order.

        A photograph that cannot be used is left out with one Python warning (``ids`` tells which remain: the path, or
        ``array-K`` with K its position); with ``strict`` it raises instead.

        Raises:
            ImageError: with ``strict``, for the first such photograph. InputError: when there is nothing to embed.
        """
        one = isinstance(photos, str | Path) or (isinstance(photos, np.ndarray) and photos.ndim < 4)
        given: list[Photo] = [photos] if one else list(photos)  # type: ignore[list-item, arg-type]
        if not given:
            raise InputError("expected photographs to embed, got an empty list")
        batches = list(self.batches(given))
        failures = [failure for batch in batches for failure in batch.failures]
        if failures and strict:
            raise ImageError(failures[0].kind, failures[0].message)
        if failures:
            lines = f"{len(failures)} of {len(given)} photographs left out, first: {failures[0].message}"
            warnings.warn(lines, RuntimeWarning, stacklevel=2)
        return concatenate([batch.embeddings for batch in batches])

    def batches(self, photos: Sequence[Photo], batch_size: int = BATCH) -> Iterator[Batch]:
        """Embed batch by batch, with quality and failures, in order.

        Files are read in threads, and whole batches go through detection, alignment, embedding and measuring side by
        side, one a torch thread (at most four). A batch closes at ``batch_size`` photographs or 24 megapixels, and at
        most two more batches are held than there are threads, so that memory stays bounded however many and however
        large the photographs are.
        """
        names = [str(p) if isinstance(p, str | Path) else f"array-{i}" for i, p in enumerate(photos)]
        yield from in_order(self._batch, group_photos(read_ahead(photos, names), names, batch_size))

    def embed_chips(self, chips: NDArray[np.uint8], ids: Sequence[str]) -> Embeddings:
        """Embed aligned chips, uint8 (N, S, S, 3)."""
        return self._embed(chips, ids)[0]

    def _batch(self, group: Group) -> Batch:
        images, names = group
        good = [i for i, image in enumerate(images) if not isinstance(image, ImageError)]
        failures = [Failure(names[i], e.kind, str(e)) for i, e in enumerate(images) if isinstance(e, ImageError)]
        pixels = [image for image in images if not isinstance(image, ImageError)]
        found = [None] * len(pixels) if self.aligned else self.detector(pixels)
        chips, ids, detections, seen = [], [], [], []
        for i, image, detection in zip(good, pixels, found, strict=True):
            try:
                chips.append(self._chip(image, detection, names[i]))
            except ImageError as error:
                failures.append(Failure(names[i], error.kind, str(error)))
                continue
            ids.append(names[i])
            detections.append(detection)
            seen.append(image)
        side = self.backbone.spec.input_size
        stacked = np.stack(chips) if chips else np.empty((0, side, side, 3), np.uint8)
        embeddings, norm = self._embed(stacked, ids)
        rows = zip(seen, detections, chips, norm, strict=True)
        on = self._measured_on
        quality = [quality_of(image, detection, chip, float(n), on) for image, detection, chip, n in rows]
        return Batch(embeddings, self._with_place_sigma(quality, seen, detections), failures, chips)

    @property
    def _measured_on(self) -> Literal["chip", "photo"] | None:
        """The chip that is embedded where it is the standard one, as with dlib's backbone; see :func:`quality_of`."""
        spec = self.backbone.spec
        standard = spec.input_size == STANDARD_SIDE and tuple(map(tuple, spec.template)) == STANDARD_TEMPLATE
        if not self._measure:
            return None
        return "chip" if standard else "photo"

    def _with_place_sigma(
        self, quality: list[Quality], images: list[NDArray[np.uint8]], detections: Sequence[Detection | None]
    ) -> list[Quality]:
        points = [detection.landmarks for detection in detections if detection is not None]
        if self.detector_sigma is None or not points:
            return quality
        with self._one_at_a_time:
            found = self.detector_sigma(images, np.stack(points))
        return [
            replace(q, box_sigma=float(box), landmark_sigma=float(landmarks))
            for q, box, landmarks in zip(quality, found.box, found.landmarks, strict=True)
        ]

    def _chip(self, image: NDArray[np.uint8], detection: Detection | None, name: str) -> NDArray[np.uint8]:
        if self.aligned:
            return given_chip(image, self.backbone.spec, name)
        if detection is not None:
            return cut_chip(image, detection, self.backbone.spec)
        height, width = image.shape[:2]
        floor = self.detector.smallest(width, height)
        raise ImageError("no_face", f"{name}: no face of at least {floor} pixels found in {width} x {height}")

    @torch.no_grad()
    def _embed(self, chips: NDArray[np.uint8], ids: Sequence[str]) -> tuple[Embeddings, NDArray[np.float32]]:
        with self._whole_turns:
            output = self.backbone(chips)
        head = self.head.head
        pooled = head.pool(output.feature_map, output.norm)
        epistemic = None
        if isinstance(head, EnsembleHead):
            combined = head.combined(pooled, output.mean)
            mean, log_var = combined.mean, combined.log_var
            epistemic = combined.epistemic.numpy() if head.moves_mean else None
        else:
            mean, log_var = head.embed(pooled, output.mean)
        if self.dropout is not None:
            whole = bool(self.dropout.plan.after_blocks)
            with self._one_at_a_time:
                members = self.dropout(chips) if whole else self.dropout.from_features(output.feature_map)
            epistemic = decompose_embeddings(members).epistemic.numpy()
        return Embeddings(mean.numpy(), log_var.numpy(), list(ids), epistemic, self.meta), output.norm.numpy()
