"""A calibrator for one head, with the reference comparisons that decisions rest on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.registry import load_backbone
from faceunc.confidence.calibrator import fit_calibrator
from faceunc.confidence.reference import Reference
from faceunc.confidence.store import StoredCalibrator
from faceunc.errors import IncompatibleError
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.comparisons import CLEAN, Comparisons, DrawOptions, draw_comparisons
from faceunc.evaluation.setup import folder_bench
from faceunc.heads.store import StoredHead
from faceunc.provenance import provenance
from faceunc.training.methods import named_recipe

FOLDS = 5


def calibrate_head(
    head: StoredHead, options: EvalOptions, draw: DrawOptions | None = None, kind: str = "monotone"
) -> StoredCalibrator:
    """Fit a calibrator for ``head`` on the people of ``options.data``.

    With ``options.head`` the head itself scores them: it must not know them. Without, two heads of one recipe (the one
    of ``options.variances`` or ``options.methods``) are cross-fitted on these people and stand in for ``head``, which
    was trained on all of them; as in scikit-learn's ``CalibratedClassifierCV(ensemble=False)``.

    The log-odds of the reference are held out: the people are dealt to five folds, nothing is compared across folds,
    and each fold is scored by a calibrator fitted on the other four. The one that is returned is fitted on all.

    Raises:
        InputError: the head knows these people, or too few people are there.
        IncompatibleError: ``head`` belongs to another backbone, or was made by another recipe than those cross-fitted.
    """
    draw = draw or DrawOptions()
    _check_recipe(head, options)
    bench = folder_bench(options)
    head.check_backbone(bench.source.backbone.spec)
    name = bench.head_names[0]
    group = _groups(bench, name, draw.seed)
    drawn = draw_comparisons(bench, name, group, draw)
    odds = np.empty(len(drawn), np.float32)
    for fold in range(FOLDS):
        inside = drawn.group % FOLDS == fold
        used = drawn[np.flatnonzero(~inside)]
        odds[inside] = fit_calibrator(used.evidence, used.same, kind, used.weight).log_odds(
            drawn.evidence[np.flatnonzero(inside)]
        )
    card = {
        "posterior": draw.posterior,
        "data": {"folder": options.data.name, "sha256": bench.source.photos.sha256},
        "people": len(np.unique(np.concatenate([drawn.first, drawn.second]))),
        "heads": "the head itself" if bench.given_head else f"two of {name!r}, cross-fitted, in its place",
        "most images": int(drawn.evidence.images.max()),
        "seed": draw.seed,
        "provenance": provenance(),
    }
    fitted = fit_calibrator(drawn.evidence, drawn.same, kind, drawn.weight, _meta(head), card)
    return StoredCalibrator(fitted, _reference(drawn, odds))


_FITTED = ("bias", "spread", "centre")  # what training writes into a configuration


def _check_recipe(head: StoredHead, options: EvalOptions) -> None:
    """What is trained to stand in for a head must be of its method, shape and settings."""
    if options.head is not None or not options.methods:
        return
    name = options.methods[0]
    recipe = named_recipe(name, load_backbone(options.backbone, options.precision))
    if recipe.ensemble is not None:
        raise IncompatibleError(
            f"{name!r}: an ensemble cannot stand in for a head; calibrate it on people it does not know"
        )
    mine, theirs = {"method": head.method}, {"method": recipe.method}
    mine |= {k: v for k, v in head.head.config.to_dict().items() if k not in _FITTED}
    theirs |= {k: v for k, v in recipe.config.to_dict().items() if k not in _FITTED}
    for key in mine | theirs:  # the method first
        if mine.get(key) != theirs.get(key):
            raise IncompatibleError(
                f"head {head.name} has {key} {mine.get(key)!r}, what {name!r} trains has {theirs.get(key)!r}"
            )


def _groups(bench: Bench, name: str, seed: int) -> NDArray[np.int64]:
    """(N,) part x FOLDS + fold of every photograph's person."""
    people, person = np.unique(bench.source.photos.identities, return_inverse=True)
    fold = np.random.default_rng([seed, 13]).permutation(len(people)) % FOLDS
    return np.asarray(bench.heads[name].part * FOLDS + fold[person])


def _meta(head: StoredHead) -> dict[str, str]:
    """The keys of an embedding's meta that must agree; as :class:`faceunc.embedder.Embedder` writes them."""
    return {
        "backbone": head.backbone,
        "backbone_sha256": head.backbone_sha256,
        "alignment": head.alignment,
        "mean": head.sha256 if head.head.moves_mean else "",
        "head": head.name,
        "head_sha256": head.sha256,
    }


def _reference(drawn: Comparisons, odds: NDArray[np.float32]) -> Reference:
    return Reference(
        odds,
        drawn.evidence.similarity.astype(np.float32),
        drawn.evidence.poorer.astype(np.float32),
        drawn.same,
        (drawn.kind == CLEAN) & drawn.single,
        drawn.first.astype(np.int32),
        drawn.second.astype(np.int32),
    )
