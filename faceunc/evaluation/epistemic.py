"""Does each uncertainty do what it is for? Epistemic: high on what was never seen, lower with more training people.
Aleatoric: high on poor photographs, and no lower with more people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput
from faceunc.embeddings import harmonic_log_var
from faceunc.epistemic.dropout import McDropout
from faceunc.errors import InputError
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.setup import folder_bench
from faceunc.evaluation.strange import drawing_chips, texture_chips, upside_down
from faceunc.heads.ensemble import EnsembleHead
from faceunc.heads.moving import MovingConfig
from faceunc.images.align import align_face
from faceunc.images.degrade import Degradation, degrade, image_seed
from faceunc.images.read import read_image
from faceunc.metrics.ood import auroc
from faceunc.protocols.lfw import read_pairs
from faceunc.training.cache import FeatureSource
from faceunc.training.data import TRAIN_VIEWS, TrainingData, training_data
from faceunc.training.ensemble import train_recipe
from faceunc.training.methods import named_recipe

SHARES = (0.1, 0.3, 1.0)
BLURS = (0.0, 0.33, 0.67, 1.0)
COUNT = 600
Chips = NDArray[np.uint8]


@dataclass(frozen=True)
class EpistemicReport:
    """What was measured.

    Attributes:
        sets: name of a set of chips -> measure -> median over its images: "aleatoric" (mean variance of the members,
            harmonic over dimensions), "epistemic" (ensemble), "MC dropout".
        detection: set -> measure -> AUROC of telling that set from clean held-out faces by the measure.
        shares: share of the training people -> "people", and medians on clean held-out faces.
    """

    sets: dict[str, dict[str, float]]
    detection: dict[str, dict[str, float]]
    shares: dict[str, dict[str, float]]


def evaluate_epistemic(options: EvalOptions, ensemble: str = "dul-mls*3", passes: int = 100) -> EpistemicReport:
    """Train the ensemble on shares of one half's people, measure it on faces of the other half and on non-faces.

    Args:
        ensemble: as :func:`named_recipe` reads it, of a method that moves the mean. passes: of MC dropout.
    """
    bench = folder_bench(replace(options, methods=("norm",)), read_pairs(options.data / "pairs.txt"))
    source, part = bench.source, bench.heads["norm"].part
    recipe = named_recipe(ensemble, source.backbone)
    if recipe.ensemble is None or not isinstance(recipe.config, MovingConfig):
        raise InputError(
            f"epistemic uncertainty needs an ensemble that moves the mean, such as dul-mls*3. Got {ensemble}"
        )
    data = training_data(source, TRAIN_VIEWS, recipe.pooling_head(), options.show)
    seed = options.train.seed
    outputs = {name: _in_batches(source, chips) for name, chips in _sets(source, part, seed)}
    dropout = McDropout(source.backbone, passes=passes, seed=seed)
    measured: dict[str, dict[str, NDArray[np.float64]]] = {}
    shares: dict[str, dict[str, float]] = {}
    people = np.random.default_rng([seed, 31]).permutation(_trained(data, part))
    for share in SHARES:
        chosen = people[: max(2, round(share * len(people)))].tolist()
        head = train_recipe(data, chosen, recipe, options.train, None, options.show).head
        assert isinstance(head, EnsembleHead)  # the recipe is one
        measured = {name: _measure(head, output) for name, output in outputs.items()}
        clean = {name: float(np.median(values)) for name, values in measured["clean"].items()}
        shares[f"{share:.0%}"] = {"people": float(len(chosen)), **clean}
    for name, output in outputs.items():
        epistemic = dropout.decompose_features(output.feature_map).epistemic
        measured[name]["MC dropout"] = epistemic.numpy().astype(np.float64)
    sets = {name: {m: float(np.median(v)) for m, v in values.items()} for name, values in measured.items()}
    detection = {
        name: {m: _auroc(measured["clean"][m], values[m]) for m in values}
        for name, values in measured.items()
        if name != "clean"
    }
    return EpistemicReport(sets, detection, shares)


def _trained(data: TrainingData, part: NDArray[np.int64]) -> NDArray[Any]:
    """People outside part 0 who have two usable photographs."""
    rows = np.flatnonzero((part != 0) & data.usable)
    codes, counts = np.unique(data.person[rows], return_counts=True)
    return np.array(data.people)[codes[counts > 1]]


def _sets(source: FeatureSource, part: NDArray[np.int64], seed: int) -> Iterator[tuple[str, Chips]]:
    """Named sets of chips; the faces are of people in part 0, one photograph each."""
    names = np.array(source.photos.identities)
    rows = np.flatnonzero((part == 0) & (source.landmarks.state == 0))
    _, first = np.unique(names[rows], return_index=True)
    rows = np.random.default_rng([seed, 32]).permutation(rows[first])[:COUNT]
    spec = source.backbone.spec
    chips = np.stack(
        [
            align_face(
                read_image(source.photos.root / source.photos.ids[row]),
                source.landmarks.points[row],
                spec.template,
                spec.input_size,
            )
            for row in rows
        ]
    )
    yield "clean", chips
    seeds = [image_seed(seed, source.photos.ids[row]) for row in rows]
    for severity in BLURS:
        blurred = [degrade(c, Degradation("blur", severity, s)) for c, s in zip(chips, seeds, strict=True)]
        yield f"blur {0.5 + 6 * severity:.1f} px", np.stack(blurred)
    yield "upside down", upside_down(chips)
    yield "textures", texture_chips(COUNT, spec.input_size, seed)
    yield "drawings", drawing_chips(COUNT, spec.input_size, seed)


def _in_batches(source: FeatureSource, chips: Chips) -> BackboneOutput:
    parts = [source.backbone(chips[start : start + 64]) for start in range(0, len(chips), 64)]
    return BackboneOutput(*(torch.cat(values) for values in zip(*parts, strict=True)))


@torch.no_grad()
def _measure(head: EnsembleHead, output: BackboneOutput) -> dict[str, NDArray[np.float64]]:
    pooled = head.pool(output.feature_map, output.norm)
    aleatoric = np.exp(harmonic_log_var(head.from_pooled(pooled).numpy()))
    return {
        "aleatoric": aleatoric,
        "epistemic": head.combined(pooled, output.mean).epistemic.numpy().astype(np.float64),
    }


def _auroc(clean: Sequence[float] | NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return auroc(np.concatenate([clean, other]), np.repeat([False, True], [len(clean), len(other)]))
