"""Photographs seen through one backbone and its heads: what every evaluation draws its embeddings from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.embeddings import Embeddings
from faceunc.heads.pfe import VARIANCES
from faceunc.images.views import View
from faceunc.storage import cache_dir
from faceunc.training.cache import Features, FeatureSource
from faceunc.training.crossfit import CrossFit
from faceunc.training.loop import TrainOptions
from faceunc.training.methods import find_method, named_recipe
from faceunc.training.recipe import Recipe, Settings


@dataclass(frozen=True)
class EvalOptions:
    """What the user may choose.

    Attributes:
        data: folder of identities. backbone: name or ONNX spec. precision: see :func:`load_backbone`.
        variances: which PFE heads are cross-fitted ("per-dimension", "scalar").
        methods: names for :func:`named_recipe`, cross-fitted with their own defaults instead of these PFE heads.
        head: a shipped head or the path of one, used instead of cross-fitting; refused when it was trained on people of
            ``data``.
        train_on: folder of identities on which two heads are cross-fitted for a protocol with images of its own.
        norm: cross-fitted heads take the embedding's norm as one more input.
        train: options of training. cache: folder of caches. show: progress bars (None: on a terminal).
    """

    data: Path
    backbone: str = "dlib"
    precision: str = "auto"
    variances: tuple[str, ...] = VARIANCES
    head: str | Path | None = None
    train_on: Path | None = None
    norm: bool = False
    methods: tuple[str, ...] = ()
    train: TrainOptions = field(default_factory=TrainOptions)
    cache: Path = field(default_factory=cache_dir)
    show: bool | None = None


class Bench:
    """Photographs seen through one backbone and its heads: gives embeddings of any view.

    Made by :func:`folder_bench` (heads cross-fitted on the same people) or :func:`protocol_bench` (a protocol's own
    images, heads trained elsewhere).

    Attributes:
        options: what was asked for. source: photographs, landmarks, backbone. heads: by name in tables; where there are
            two, a photograph's person decides which embeds it. training: the bench of the people that the heads were
            cross-fitted on, where these are not the photographs' own. people: how many images are of people whom the
            heads are known not to have met, and of whom it cannot be known. warnings: for the table.
    """

    def __init__(
        self,
        options: EvalOptions,
        source: FeatureSource,
        heads: dict[str, CrossFit],
        training: Bench | None = None,
    ) -> None:
        self.options, self.source, self.heads, self.training = options, source, heads, training
        self.people: dict[str, int] = {}
        self.warnings: list[str] = []
        self._features: dict[View, dict[str, _Outputs]] = {}

    @property
    def head_names(self) -> list[str]:
        """Names of the heads: "per-dimension", "scalar", or the name of the user's head."""
        return list(self.heads)

    @property
    def given_head(self) -> bool:
        """Whether one head embeds everybody, and not two that were cross-fitted."""
        return all(fit.heads[0] is fit.heads[1] for fit in self.heads.values())

    @property
    def methods(self) -> list[tuple[str, str, str]]:
        """(name in tables, head, score) of all that is compared.

        Cosine once for all heads that share the backbone's mean, and once for each head that moves it; MLS, and the
        score of its own, for each head.
        """
        still = [name for name in self.head_names if not self.moves_mean(name)]
        rows = [("cosine", still[0], "cosine")] if still else []
        for name in self.head_names:
            if self.moves_mean(name):
                rows.append((f"cosine ({name})", name, "cosine"))
            rows.append((f"mls ({name})", name, "mls"))
            if self.heads[name].heads[0].method == "vmf":
                rows.append((f"vmf ({name})", name, "vmf"))
        return rows

    def moves_mean(self, variance: str) -> bool:
        """Whether this head's means are its own."""
        return any(head.head.moves_mean for head in self.heads[variance].heads)

    def recipe(self, variance: str) -> Recipe:
        """How the cross-fitted heads of this name were made."""
        options, backbone = self.options, self.source.backbone
        return next(recipe for name, recipe in recipes_of(options, backbone) if name == variance)

    def prepare(self, views: Sequence[View]) -> None:
        """Compute the features of all these views in one pass over the photographs."""
        self.source.features(list(views), self.options.show)

    def embeddings(self, view: View, variance: str, rows: NDArray[np.int64] | None = None) -> Embeddings:
        """Embeddings of photographs (``rows``, else all) in one view; each person by the head that never met them."""
        outputs = self._of_view(view)[variance]
        index = np.arange(len(outputs.mean)) if rows is None else rows
        spec, fit = self.source.backbone.spec, self.heads[variance]
        method = fit.heads[0].method or "pfe"
        meta = {
            "backbone": spec.name,
            "backbone_sha256": spec.sha256,
            "alignment": spec.alignment,
            "mean": fit.sha256 if self.moves_mean(variance) else "",
            "method": method,
            "head": variance if self.given_head or self.options.methods else f"crossfit-{method}-{variance}",
            "head_sha256": fit.sha256,
        }
        ids = [self.source.photos.ids[i] for i in index]
        return Embeddings(outputs.mean[index], outputs.log_var[index], ids, meta=meta)

    def _of_view(self, view: View) -> dict[str, _Outputs]:
        if view not in self._features:
            features = self.source.features([view], self.options.show)[view]
            self._features[view] = {name: self._predict(features, name) for name in self.heads}
        return self._features[view]

    @torch.no_grad()
    def _predict(self, features: Features, name: str) -> _Outputs:
        """Frozen means stay on disk until rows are asked for."""
        fit, moves = self.heads[name], self.moves_mean(name)
        log_var = np.empty((len(features), fit.heads[0].head.config.outputs), np.float32)
        mean = np.empty_like(features.mean) if moves else features.mean
        for start in range(0, len(features), 1024):
            block = slice(start, start + 1024)
            part = fit.part[block]
            feature_map = torch.from_numpy(features.feature_map[block].astype(np.float32))
            norm = torch.from_numpy(np.array(features.norm[block]))
            frozen = torch.from_numpy(np.array(features.mean[block]))
            for number in np.unique(part):
                rows = np.flatnonzero(part == number)
                head, chosen = fit.heads[number].head, torch.from_numpy(rows)
                moved, values = head.embed(head.pool(feature_map[chosen], norm[chosen]), frozen[chosen])
                log_var[start + rows] = values.numpy()
                if moves:
                    mean[start + rows] = moved.numpy()
        return _Outputs(mean, log_var)


class _Outputs(NamedTuple):
    """What a head makes of one view: mean (N, D), log_var (N, D or 1)."""

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32]


def recipes_of(options: EvalOptions, backbone: Backbone) -> list[tuple[str, Recipe]]:
    """(name in tables, what is trained) of all heads that are cross-fitted."""
    if options.methods:
        return [(name, named_recipe(name, backbone)) for name in options.methods]
    pfe = find_method("pfe")
    return [
        (variance, pfe.recipe(backbone, Settings(variance=variance, norm=options.norm)))
        for variance in options.variances
    ]
