"""What every evaluation begins with: photographs, landmarks, backbone and cross-fitted heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.backbones.registry import load_backbone
from faceunc.embeddings import Embeddings
from faceunc.errors import InputError
from faceunc.heads.pfe import VARIANCES, PFEConfig
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import identity_folder
from faceunc.images.views import View
from faceunc.protocols.pairs import PairProtocol
from faceunc.storage import cache_dir
from faceunc.training.cache import FeatureSource
from faceunc.training.crossfit import CrossFit, cross_fit, hash_identities, split_identities
from faceunc.training.data import TRAIN_VIEWS
from faceunc.training.loop import TrainOptions

TEST_SEEDS = (101, 102, 103)  # the training views have others


@dataclass(frozen=True)
class EvalOptions:
    """What the user may choose.

    Attributes:
        data: folder of identities. backbone: name or ONNX spec. precision: see :func:`load_backbone`.
        variances: which PFE heads are cross-fitted ("per-dimension", "scalar").
        head: a shipped head or the path of one, used instead of cross-fitting; refused when it was trained on people of
            ``data``.
        train: options of training. cache: folder of caches. show: progress bars (None: on a terminal).
    """

    data: Path
    backbone: str = "dlib"
    precision: str = "auto"
    variances: tuple[str, ...] = VARIANCES
    head: str | Path | None = None
    train: TrainOptions = field(default_factory=TrainOptions)
    cache: Path = field(default_factory=cache_dir)
    show: bool | None = None


class Bench:
    """Photographs of one folder seen through one backbone: gives embeddings of any view, by cross-fitted heads."""

    def __init__(self, options: EvalOptions, pairs: PairProtocol | None = None) -> None:
        self.options = options
        photos = identity_folder(options.data)
        if pairs is not None:
            missing = [name for name in pairs.images if name not in photos.index]
            if missing:
                raise InputError(
                    f"{options.data}: {len(missing)} photographs of the protocol are missing, first {missing[0]}"
                )
        given = _checked_head(options.head, photos.identities) if options.head else None
        backbone: Backbone = load_backbone(options.backbone, options.precision)
        detector = FaceDetector("central")
        landmarks = find_landmarks(photos, detector, options.cache, options.show)
        self.source = FeatureSource(photos, landmarks, detector.name, backbone, options.cache)
        self.part = split_identities(photos.identities, pairs, options.train.seed)
        self.heads: dict[str, CrossFit] = self._given(given) if given else self._cross_fitted()
        self._features: dict[View, tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]] = {}

    @property
    def variances(self) -> list[str]:
        """Names of the heads: "per-dimension", "scalar", or the name of the user's head."""
        return list(self.heads)

    @property
    def methods(self) -> list[tuple[str, str, str]]:
        """(name in tables, head, score) of all that is compared; cosine once, for all heads share the mean."""
        mls = [(f"mls ({variance})", variance, "mls") for variance in self.variances]
        return [("cosine", self.variances[0], "cosine"), *mls]

    def _cross_fitted(self) -> dict[str, CrossFit]:
        spec, fits = self.source.backbone.spec, {}
        for variance in self.options.variances:
            config = PFEConfig(spec.feature_shape, spec.dim, variance=variance)
            fits[variance] = cross_fit(
                self.source, self.part, TRAIN_VIEWS, config, self.options.train, self.options.show
            )
        return fits

    def _given(self, head: StoredHead) -> dict[str, CrossFit]:
        head.check_backbone(self.source.backbone.spec)
        both = CrossFit(self.part, [head, head], [head.card.get("collapse", {})] * 2)
        return {head.name: both}

    def prepare(self, views: Sequence[View]) -> None:
        """Compute the features of all these views in one pass over the photographs."""
        self.source.features(list(views), self.options.show)

    def embeddings(self, view: View, variance: str, rows: NDArray[np.int64] | None = None) -> Embeddings:
        """Embeddings of photographs (``rows``, else all) in one view; each person by the head that never met them."""
        mean, log_vars = self._of_view(view)
        index = np.arange(len(mean)) if rows is None else rows
        spec, fit = self.source.backbone.spec, self.heads[variance]
        meta = {
            "backbone": spec.name,
            "backbone_sha256": spec.sha256,
            "alignment": spec.alignment,
            "head": variance if self.options.head else f"crossfit-pfe-{variance}",
            "head_sha256": fit.sha256,
        }
        return Embeddings(mean[index], log_vars[variance][index], [self.source.photos.ids[i] for i in index], meta=meta)

    def _of_view(self, view: View) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        if view not in self._features:
            features = self.source.features([view], self.options.show)[view]
            predictions = {name: self._predict(features.feature_map, fit) for name, fit in self.heads.items()}
            self._features[view] = (np.array(features.mean), predictions)
        return self._features[view]

    @torch.no_grad()
    def _predict(self, maps: NDArray[np.float16], fit: CrossFit) -> NDArray[np.float32]:
        out = np.empty((len(maps), fit.heads[0].head.config.outputs), np.float32)
        for start in range(0, len(maps), 1024):
            block = torch.from_numpy(maps[start : start + 1024].astype(np.float32))
            part = torch.from_numpy(self.part[start : start + 1024])
            values = torch.stack([head.head(block) for head in fit.heads])
            out[start : start + 1024] = values[part, torch.arange(len(part))].numpy()
        return out


def _checked_head(name: str | Path, identities: Sequence[str]) -> StoredHead:
    """The user's (or a shipped) head, refused at once when it knows these people."""
    head = load_head(head_path(name))
    refuse_known_identities(head, identities)
    return head


def refuse_known_identities(head: StoredHead, identities: Sequence[str]) -> None:
    """Raise InputError when the head was trained on any of these people, or does not say on whom it was trained."""
    known = head.card.get("identity_hashes")
    if not isinstance(known, list):
        raise InputError(f"head {head.name} does not say on whom it was trained; it cannot be evaluated honestly")
    shared = set(known) & set(hash_identities(set(identities)))
    if shared:
        raise InputError(
            f"head {head.name} was trained on {len(shared)} of the people in this data; "
            "evaluate without --head (cross-fitted)"
        )
