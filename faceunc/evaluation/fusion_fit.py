"""Two numbers of template fusion, fitted inside the training people of the head that they are used with.

How far the variances of good and poor images should lie apart (``spread``), and how much the errors of two media of one
template correlate (``rho``), decide what posterior variance a template gets; the best values differ between backbones.
Nothing of the test is touched: the training people of a cross-fitted head are halved, a head of its own is trained on
the one half, the two numbers are fitted on templates of the other half, and then used with the cross-fitted head.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import Bench
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.ijb_plan import Plan, PlanOptions, plan_ijb
from faceunc.scoring.indexed import score_indexed
from faceunc.scoring.pooling import Pooling, pool_templates
from faceunc.storage import atomic_write
from faceunc.training.collapse import predict
from faceunc.training.data import TRAIN_VIEWS, TrainingData, training_data
from faceunc.training.ensemble import train_recipe
from faceunc.training.recipe import Recipe

SPREADS = (0.85, 1.0, 1.15, 1.3, 1.5)
RHOS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
TARGETS = (1e-2, 1e-3, 1e-4)
_PAIRS = 300_000
Floats = NDArray[np.float32]
_RECIPE = "1"  # part of the cache key: raise it when the fit changes


@dataclass(frozen=True)
class FusionFit:
    """log_var becomes ``centre + spread (log_var - centre)``; media fuse with the posterior "correlated", ``rho``.

    ``centre`` belongs to the head: where its own stretch was centred. 0 leaves log_var as it is.
    """

    spread: float
    rho: float
    centre: float

    @property
    def pooling(self) -> Pooling:
        """How templates are pooled."""
        return Pooling(media=True, posterior="correlated", rho=self.rho)

    def stretch(self, images: Embeddings) -> Embeddings:
        """The images with their variances moved apart (or together)."""
        if self.centre == 0.0:
            return images
        log_var = np.float32(self.centre) + np.float32(self.spread) * (images.log_var - np.float32(self.centre))
        return replace(images, log_var=log_var)


def fit_both(bench: Bench, variance: str) -> tuple[FusionFit, FusionFit]:
    """Fusion for the people of part 0 and of part 1 of a bench whose heads are cross-fitted; kept in the cache.

    Templates are drawn as by ``make-ijb``; the frames of a video are the photograph's views of the training mix. The
    criterion is the geometric mean of FNMR at FMR 1e-2, 1e-3 and 1e-4 over 300,000 comparisons; MLS.
    """
    options = bench.options
    depends = [_RECIPE, bench.heads[variance].sha256, asdict(options.train), options.norm, SPREADS, RHOS]
    key = blake2b(json.dumps(depends).encode(), digest_size=8).hexdigest()
    path = bench.source.folder(View()).parent / "crossfit" / f"{key}-fusion.json"
    try:
        zero, one = (FusionFit(**values) for values in json.loads(path.read_text("utf-8")))
        return zero, one
    except (OSError, ValueError, TypeError):
        pass
    recipe = bench.recipe(variance)
    data = training_data(bench.source, TRAIN_VIEWS, recipe.pooling_head(), options.show)
    zero, one = (_fit(bench, data, recipe, variance, part) for part in (0, 1))
    atomic_write(path, json.dumps([asdict(zero), asdict(one)]).encode())
    return zero, one


def halves(bench: Bench, variance: str, part: int) -> tuple[set[str], set[str]]:
    """The people that the head of ``part`` was trained on, in two halves: one to train a head on, one to fit on."""
    fit, names = bench.heads[variance], np.array(bench.source.photos.identities)
    people = np.unique(names[fit.part != part])
    order = np.random.default_rng([bench.options.train.seed, 21, part]).permutation(len(people))
    half = len(people) // 2
    return set(people[order[:half]].tolist()), set(people[order[half:]].tolist())


def _fit(bench: Bench, data: TrainingData, recipe: Recipe, variance: str, part: int) -> FusionFit:
    train, held = halves(bench, variance, part)
    head = train_recipe(data, train, recipe, bench.options.train, None, bench.options.show).head
    images, plan = _images(data, predict(head, data), held, bench)
    centre = head.config.centre
    candidates = (FusionFit(spread, rho, centre) for spread in (SPREADS if centre else (1.0,)) for rho in RHOS)
    best = min(candidates, key=lambda fit: criterion(fit, images, plan))
    return replace(best, centre=bench.heads[variance].heads[part].head.config.centre)


def criterion(fit: FusionFit, images: Embeddings, plan: Plan) -> float:
    """Geometric mean of FNMR at the target FMRs, templates pooled by ``fit`` and compared by MLS."""
    template, media = (_column(plan, name) for name in ("template", "medium"))
    pooled = pool_templates(fit.stretch(images), template, fit.pooling, media)
    ordered = sort_scores(score_indexed(pooled, plan.first, plan.second, "mls"), plan.same)
    fnmr = [1.0 - ordered.tar_at_far(target).tar for target in TARGETS]
    return float(np.exp(np.mean(np.log(np.maximum(fnmr, 1e-4)))))


def _column(plan: Plan, name: str) -> NDArray[np.int64]:
    return np.array([getattr(row, name) for row in plan.rows], np.int64)


def _images(
    data: TrainingData, outputs: tuple[Floats, Floats], people: Iterable[str], bench: Bench
) -> tuple[Embeddings, Plan]:
    """Rows of a plan over these people's photographs, each in its view."""
    photos = bench.source.photos.subset(data.rows_of(set(people)).tolist())
    plan = plan_ijb(photos.identities, photos.ids, PlanOptions(seed=bench.options.train.seed, pairs=_PAIRS))
    frame = _column(plan, "frame")
    view = np.where(frame < 0, 0, 1 + frame % (len(TRAIN_VIEWS) - 1))
    photo = np.array([bench.source.photos.index[photos.ids[row]] for row in _column(plan, "photo")])
    mean, log_var = outputs
    return Embeddings(mean[view, photo], log_var[view, photo], [bench.source.photos.ids[row] for row in photo]), plan
