"""Telling inputs that are no faces from clean faces, and from poor ones: every measure on every set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput
from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.epistemic.dropout import McDropout
from faceunc.epistemic.ensemble import combine_members
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.recipes_table import Row
from faceunc.evaluation.setup import folder_bench
from faceunc.evaluation.strange import drawing_chips, texture_chips, upside_down
from faceunc.images.align import align_face
from faceunc.images.face_score import FaceScorer
from faceunc.images.read import read_image
from faceunc.images.views import View
from faceunc.metrics.ood import aupr, auroc, fpr95
from faceunc.protocols.pairs import PairProtocol
from faceunc.recipes.face_reference import FaceReference, fit_reference
from faceunc.recipes.strange_inputs import strangeness
from faceunc.training.cache import FeatureSource
from faceunc.training.loop import TrainOptions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Chips = NDArray[np.uint8]
COUNT = 600
MEMBERS = 3
ENSEMBLE = "dul-mls"
SIGMA, EPISTEMIC, DROPOUT, NORM = "sigma", "epistemic, ensemble", "epistemic, MC dropout", "norm"
DETECTOR, DISTANCE, BOTH, WITH_SIGMA = "detector score", "distance", "distance + detector", "distance + sigma"
MEASURES = (SIGMA, EPISTEMIC, DROPOUT, NORM, DETECTOR, DISTANCE, WITH_SIGMA, BOTH)
CLEAN, POOR = "clean faces", "degraded faces"
STRANGE = ("upside down", "textures", "drawings")
KEEP = 0.95
_BATCH = 64


@dataclass(frozen=True)
class StrangeBench:
    """Heads trained without the people of part 0, on whom everything is tested.

    Attributes:
        bench: with a PFE head. members: benches whose heads of method :data:`ENSEMBLE` are the ensemble.
        test, reference: photographs of people of View 2's first and of its second half of folds, one a person.
    """

    bench: Bench
    members: list[Bench]
    test: Ints
    reference: Ints


def strange_bench(options: EvalOptions, pairs: PairProtocol, seed: int) -> StrangeBench:
    """Heads from the cache or trained now; ``seed`` draws the photographs.

    The head of part 0 met nobody of the folds of part 0, whatever the seed of its training.
    """
    half = pairs.num_folds // 2
    names = ("pfe", ENSEMBLE)
    members = [
        folder_bench(replace(options, methods=names if k == 0 else (ENSEMBLE,), train=_seeded(options, k)), pairs)
        for k in range(MEMBERS)
    ]
    source = members[0].source
    test, reference = (
        _one_each(source, pairs.identities_of_folds(set(folds)), seed) for folds in (range(half), range(half, 2 * half))
    )
    return StrangeBench(members[0], members, test[:COUNT], reference)


def _seeded(options: EvalOptions, member: int) -> TrainOptions:
    return replace(options.train, seed=options.train.seed + member)


def _one_each(source: FeatureSource, people: set[str], seed: int) -> Ints:
    """One usable photograph of each of these people, in random order."""
    names = np.array(source.photos.identities)
    rows = np.flatnonzero(np.isin(names, sorted(people)) & (source.landmarks.state == 0))
    rows = np.random.default_rng([seed, 52]).permutation(rows)
    _, first = np.unique(names[rows], return_index=True)
    return np.random.default_rng([seed, 53]).permutation(rows[first])


def strange_rows(made: StrangeBench, seed: int) -> tuple[list[Row], dict[str, dict[str, Floats]]]:
    """How well each measure tells each set from clean and from degraded unseen faces, and what its limit flags.

    Limits are chosen at 95% of clean faces of other people than those tested.

    Returns:
        rows; and measure -> set -> (N,) values, higher = stranger.
    """
    source = made.bench.source
    cut = len(made.reference) * 3 // 4  # the last quarter is for the limits of measures that are no recipe of ours
    known, others = (_Seen(made, chips_of(source, rows), seed) for rows in np.split(made.reference, [cut]))
    scale = _Scale(fit_reference(known.faces, known.detector, seed), known.measures[SIGMA])
    held = _measured(others, scale)
    values: dict[str, dict[str, Floats]] = {name: {} for name in MEASURES}
    for kind, chips in _sets(source, made.test, seed):
        for name, found in _measured(_Seen(made, chips, seed), scale).items():
            values[name][kind] = found
    rows = []
    for name in MEASURES:
        limit = _limit(name, held, scale.reference)
        for kind, found in values[name].items():
            figures = {"flagged": float(np.mean(found > limit))}
            for base in (CLEAN, POOR):
                if kind in STRANGE or (base == CLEAN and kind != CLEAN):
                    figures |= _told_apart(values[name][base], found, base)
            rows.append(Row({"measure": name, "set": kind}, figures))
    return rows, values


def _limit(name: str, held: dict[str, Floats], fitted: FaceReference) -> float:
    """The recipe's own limit; for the other measures the quantile over the reference's faces."""
    if name in (DISTANCE, BOTH):
        return fitted.limit(KEEP, detector=name == BOTH)
    return float(np.quantile(held[name], KEEP, method="higher"))


def _told_apart(faces: Floats, strange: Floats, base: str) -> dict[str, float]:
    """Faces are "in"; AUPR is that of finding the strange ones, FPR95 the share of them that passes."""
    scores = -np.concatenate([faces, strange])
    inside = np.repeat([True, False], [len(faces), len(strange)])
    return {
        f"AUROC from {base}": auroc(scores, inside),
        f"AUPR from {base}": aupr(-scores, ~inside),
        f"FPR95 from {base}": fpr95(scores, inside),
    }


def chips_of(source: FeatureSource, rows: Sequence[int] | Ints) -> Chips:
    """Aligned chips of these photographs, uint8 (N, S, S, 3)."""
    spec, photos = source.backbone.spec, source.photos
    images = (read_image(photos.root / photos.ids[row]) for row in rows)
    points = (source.landmarks.points[row] for row in rows)
    return np.stack([align_face(i, p, spec.template, spec.input_size) for i, p in zip(images, points, strict=True)])


def _sets(source: FeatureSource, rows: Ints, seed: int) -> list[tuple[str, Chips]]:
    side, chips = source.backbone.spec.input_size, chips_of(source, rows)
    mix = View(mix_seed=seed)
    poor = np.stack([mix.apply(chip, source.photos.ids[row]) for chip, row in zip(chips, rows, strict=True)])
    strange = (upside_down(chips), texture_chips(len(rows), side, seed), drawing_chips(len(rows), side, seed))
    return [(CLEAN, chips), (POOR, poor), *zip(STRANGE, strange, strict=True)]


class _Seen:
    """Chips as the backbone, the heads of part 0, dropout and the detector see them.

    Attributes:
        faces: embeddings with the PFE head's variance. measures: by name. detector: (N,) scores.
    """

    def __init__(self, made: StrangeBench, chips: Chips, seed: int) -> None:
        source = made.bench.source
        parts = [source.backbone(chips[start : start + _BATCH]) for start in range(0, len(chips), _BATCH)]
        output = BackboneOutput(*(torch.cat(values) for values in zip(*parts, strict=True)))
        spec = source.backbone.spec
        _, log_var = _embed(made.bench, "pfe", output)
        meta = {"backbone": spec.name, "backbone_sha256": spec.sha256, "alignment": spec.alignment, "mean": ""}
        self.faces = Embeddings(output.mean.numpy(), log_var.numpy(), [str(k) for k in range(len(chips))], meta=meta)
        means, log_vars = zip(*(_embed(bench, ENSEMBLE, output) for bench in made.members), strict=True)
        ensemble = combine_members(torch.stack(means), torch.stack(log_vars)).epistemic
        dropout = McDropout(source.backbone, seed=seed).decompose_features(output.feature_map).epistemic
        template = np.array(spec.template, np.float32)
        self.detector = FaceScorer()(list(chips), np.tile(template, (len(chips), 1, 1)))[0]
        self.measures = {
            SIGMA: harmonic_log_var(log_var.numpy()),
            EPISTEMIC: ensemble.numpy().astype(np.float64),
            DROPOUT: dropout.numpy().astype(np.float64),
            NORM: -output.norm.numpy().astype(np.float64),
            DETECTOR: -self.detector.astype(np.float64),
        }


@torch.no_grad()
def _embed(bench: Bench, name: str, output: BackboneOutput) -> tuple[torch.Tensor, torch.Tensor]:
    head = bench.heads[name].heads[0].head
    return head.embed(head.pool(output.feature_map.float(), output.norm), output.mean)


@dataclass(frozen=True)
class _Scale:
    """What usual faces are: the reference, and their sigmas."""

    reference: FaceReference
    sigma: Floats


def _measured(seen: _Seen, scale: _Scale) -> dict[str, Floats]:
    """Every measure, higher = stranger."""
    distance = strangeness(seen.faces, scale.reference)
    sigma = (seen.measures[SIGMA] - scale.sigma.mean()) / scale.sigma.std()
    return {
        **seen.measures,
        DISTANCE: distance,
        WITH_SIGMA: distance + sigma,
        BOTH: strangeness(seen.faces, scale.reference, seen.detector),
    }
