"""Degradation at test time: how scores, errors, sigma and refusals change as photographs get worse, kind by kind."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.setup import folder_bench
from faceunc.images.degrade import KINDS
from faceunc.progress import bar
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.scoring.embedded import score_pairs
from faceunc.sweep.cells import cell, cell_path, sweep_dir
from faceunc.sweep.degradation_chips import KindView, subset_bench
from faceunc.sweep.degradation_figures import (
    REPLICATES,
    Operation,
    Seen,
    choose_operation,
    image_figures,
    score_figures,
)
from faceunc.sweep.degradation_kinds import CLEAN_KIND, DEFAULT_KINDS, SEVERITIES, SIDES
from faceunc.sweep.degradation_odds import LOG_ODDS, HeldOutOdds, odds_methods, odds_settings, why_no_odds
from faceunc.sweep.degradation_report import DegradationReport
from faceunc.training.cache import PIXELS_VERSION

_RECIPE = "2"  # part of every cell's key: raise it when the figures of this sweep change


@dataclass(frozen=True)
class DegradationOptions:
    """What the user may choose.

    Attributes:
        evaluation: data, backbone, heads. kinds: of :data:`KINDS`. severities: in [0, 1]; 0 is the clean photograph,
            which is always there. side: which photographs of a pair are degraded, "both" or "second". seed: of all
            that is random in a degradation. pairs_file: in LFW's layout, else DATA/pairs.txt. work: folder of the
            cells, else the cache.

    Raises:
        InputError: an unknown kind or side, a severity outside [0, 1], or nothing to do.
    """

    evaluation: EvalOptions
    kinds: tuple[str, ...] = DEFAULT_KINDS
    severities: tuple[float, ...] = SEVERITIES
    side: str = "both"
    seed: int = 101
    pairs_file: Path | None = None
    work: Path | None = None

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise InputError(f"kinds of degradation: expected some of {', '.join(KINDS)}, got {', '.join(unknown)!r}")
        if self.side not in SIDES:
            raise InputError(f"side: expected one of {', '.join(SIDES)}, got {self.side!r}")
        if not any(self.severities) or not all(0.0 <= severity <= 1.0 for severity in self.severities):
            got = ", ".join(f"{severity:g}" for severity in self.severities)
            raise InputError(f"severities: expected numbers in [0, 1], one of them above 0, got {got!r}")

    @property
    def conditions(self) -> list[KindView]:
        """The clean photographs, then every kind at its severities, rising."""
        kinds, severities = dict.fromkeys(self.kinds), sorted({float(s) for s in self.severities} - {0.0})
        return [KindView(), *(KindView(kind=k, severity=s, seed=self.seed) for k in kinds for s in severities)]


def sweep_degradation(options: DegradationOptions) -> DegradationReport:
    """Run the sweep, or what is left of it: every condition is stored when it is done.

    Each person is embedded by the head that never met them. One pass of the backbone a condition serves all heads.

    Raises:
        InputError: photographs of the pairs are missing, the user's head knows the people, or there is one fold only.
    """
    evaluation = options.evaluation
    pairs = read_pairs(options.pairs_file or evaluation.data / "pairs.txt")
    if pairs.num_folds < 2:
        raise InputError("a sweep chooses thresholds on other folds: expected pairs in at least two folds, got one")
    bench = folder_bench(evaluation, pairs)
    genuine, impostors = int(pairs.same.sum()), int((~pairs.same).sum())
    without = why_no_odds(bench, pairs)
    methods = bench.methods + ([] if without else odds_methods(bench))
    report = DegradationReport(
        "sweep degradation", evaluation, bench, methods=methods, genuine=genuine, impostors=impostors
    )
    folder, conditions, images = sweep_dir("degradation", options.work), options.conditions, len(pairs.images)
    what, total = f"degrade and embed, {bench.source.backbone.spec.name}", images * len(conditions)
    with bar(what, total, show=evaluation.show) as progress:
        sweep = _Sweep(options, pairs, bench, methods, progress.update)
        for view in conditions:
            key = sweep.key(view)
            if view.kind != CLEAN_KIND and cell_path(folder, key).is_file():
                progress.update(images)
            report.add_cell(view, cell(folder, key, lambda view=view: sweep.figures(view)))  # type: ignore[misc]
        progress.update(max(0, total - progress.n))
    report.describe(options.side, options.seed, images, without)
    return report


class _Sweep:
    """Computes one condition after the other; chips, clean condition, calibrators are made when first needed."""

    def __init__(
        self,
        options: DegradationOptions,
        pairs: PairProtocol,
        bench: Bench,
        methods: list[tuple[str, str, str]],
        done: Callable[[int], object],
    ) -> None:
        self.options, self.pairs, self.bench, self.methods, self._done = options, pairs, bench, methods, done
        self._odds = HeldOutOdds(bench, pairs)

    def key(self, view: KindView) -> dict[str, Any]:
        """All that the figures of this condition depend on."""
        source, pairs = self.bench.source, self.pairs
        spec = source.backbone.spec
        listed = json.dumps([pairs.first, pairs.second, pairs.same.tolist(), pairs.fold.tolist()])
        return {
            "recipe": _RECIPE,
            "pixels": PIXELS_VERSION,
            "data": source.photos.sha256,
            "pairs": sha256(listed.encode("utf-8", "surrogateescape")).hexdigest(),
            "detector": source.detector_name,
            "backbone": [spec.name, spec.sha256, spec.alignment, spec.colour, list(spec.mean), spec.scale],
            "precision": source.backbone.precision,
            "heads": {name: fit.sha256 for name, fit in self.bench.heads.items()},
            "scores": [list(method) for method in self.methods],
            "calibration": odds_settings() if any(score == LOG_ODDS for *_, score in self.methods) else None,
            "kind": view.kind,
            "severity": view.severity,
            "seed": None if view.kind == CLEAN_KIND else view.seed,
            "side": None if view.kind == CLEAN_KIND else self.options.side,
            "replicates": REPLICATES,
        }

    def figures(self, view: KindView) -> dict[str, Any]:
        """Figures of every score, and sigma of every head, in this condition."""
        poor = self._clean if view.kind == CLEAN_KIND else self._look(view)
        left = poor if self.options.side == "both" else self._clean
        scores = {}
        for name, head, score in self.methods:
            now = self._seen(left, poor, head, score)
            own = self._scores(self._clean[head][self._touched], poor[head][self._touched], head, score)
            scores[name] = score_figures(now, self._operations[name], self.pairs)
            scores[name] |= image_figures("own", own, self._people)
        sigma = {head: image_figures("sigma", look.sigma[self._touched], self._people) for head, look in poor.items()}
        return {"scores": scores, "sigma": sigma}

    @cached_property
    def _subset(self) -> Bench:
        return subset_bench(self.bench, self.pairs.images, self._done)

    @cached_property
    def _clean(self) -> dict[str, Embeddings]:
        return self._look(KindView())

    @cached_property
    def _operations(self) -> dict[str, Operation]:
        """What is chosen on clean pairs, for every score."""
        clean = self._clean
        return {
            name: choose_operation(self._seen(clean, clean, head, score), self.pairs)
            for name, head, score in self.methods
        }

    @cached_property
    def _touched(self) -> Any:
        """Rows of the photographs that are degraded."""
        first, second = pair_rows(self._subset, self.pairs)
        return np.unique(second) if self.options.side == "second" else np.unique(np.concatenate([first, second]))

    @property
    def _people(self) -> list[str]:
        identities = self._subset.source.photos.identities
        return [identities[row] for row in self._touched]

    def _look(self, view: KindView) -> dict[str, Embeddings]:
        """Embeddings of all photographs in one condition, by head; a bench of its own, so that no features pile up."""
        bench = Bench(self.bench.options, self._subset.source, self._subset.heads)
        return {head: bench.embeddings(view, head) for head in bench.head_names}

    def _seen(self, left: dict[str, Embeddings], right: dict[str, Embeddings], head: str, score: str) -> Seen:
        first, second = pair_rows(self._subset, self.pairs)
        one, other = left[head][first], right[head][second]
        return Seen(self._scores(one, other, head, score), np.maximum(one.sigma, other.sigma))

    def _scores(self, left: Embeddings, right: Embeddings, head: str, score: str) -> NDArray[np.float32]:
        return self._odds(left, right, head) if score == LOG_ODDS else score_pairs(left, right, score)
