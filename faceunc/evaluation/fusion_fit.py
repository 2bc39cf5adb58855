"""Two numbers of template fusion, fitted on people that neither the head nor the test knows.

How far the variances of good and poor images should lie apart (``spread``), and how much the errors of two media of one
template correlate (``rho``), decide what posterior variance a template gets; the best values differ between backbones.
They are fitted on templates made of one half of the training people, embedded by the head that never met them, and used
for the other half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation.setup import Bench
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.ijb_plan import Plan, PlanOptions, plan_ijb
from faceunc.scoring.indexed import score_indexed
from faceunc.scoring.pooling import Pooling, pool_templates
from faceunc.training.data import TRAIN_VIEWS

SPREADS = (0.85, 1.0, 1.15, 1.3, 1.5)
RHOS = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
TARGETS = (1e-2, 1e-3, 1e-4)
_PAIRS = 300_000


@dataclass(frozen=True)
class FusionFit:
    """log_var becomes ``centre + spread (log_var - centre)``; media fuse with the posterior "correlated", ``rho``."""

    spread: float
    rho: float
    centre: float

    @property
    def pooling(self) -> Pooling:
        """How templates are pooled."""
        return Pooling(media=True, posterior="correlated", rho=self.rho)

    def stretch(self, images: Embeddings) -> Embeddings:
        """The images with their variances moved apart (or together)."""
        log_var = np.float32(self.centre) + np.float32(self.spread) * (images.log_var - np.float32(self.centre))
        return replace(images, log_var=log_var)


def fit_fusion(bench: Bench, variance: str, part: int, seed: int = 0) -> FusionFit:
    """Choose spread and rho on the people of ``part`` of a bench whose heads are cross-fitted.

    Templates are drawn as by ``make-ijb``; the frames of a video are the photograph's views of the training mix. The
    criterion is the geometric mean of FNMR at FMR 1e-2, 1e-3 and 1e-4 over 300,000 comparisons; MLS.
    """
    images, plan, template, media = _images(bench, variance, part, seed)
    centre = float(images.log_var.mean())
    best, least = FusionFit(1.0, 0.0, centre), np.inf
    for spread in SPREADS:
        stretched = FusionFit(spread, 0.0, centre).stretch(images)
        for rho in RHOS:
            fit = FusionFit(spread, rho, centre)
            pooled = pool_templates(stretched, template, fit.pooling, media)
            ordered = sort_scores(score_indexed(pooled, plan.first, plan.second, "mls"), plan.same)
            fnmr = [1.0 - ordered.tar_at_far(target).tar for target in TARGETS]
            criterion = float(np.exp(np.mean(np.log(np.maximum(fnmr, 1e-4)))))
            if criterion < least:
                best, least = fit, criterion
    return best


def _images(
    bench: Bench, variance: str, part: int, seed: int
) -> tuple[Embeddings, Plan, NDArray[np.int64], NDArray[np.int64]]:
    photos = bench.source.photos
    mine = np.flatnonzero((bench.heads[variance].part == part) & (bench.source.landmarks.state == 0))
    chosen = photos.subset(mine.tolist())
    plan = plan_ijb(chosen.identities, chosen.ids, PlanOptions(seed=seed, pairs=_PAIRS))
    view = np.array([0 if row.frame < 0 else 1 + row.frame % (len(TRAIN_VIEWS) - 1) for row in plan.rows])
    photo = mine[[row.photo for row in plan.rows]]
    rows = list(_rows(bench, variance, view, photo))
    mean, log_var = (np.empty((len(view), part.shape[1]), np.float32) for part in (rows[0][1].mean, rows[0][1].log_var))
    for where, found in rows:
        mean[where], log_var[where] = found.mean, found.log_var
    template, media = (np.array([getattr(row, name) for row in plan.rows]) for name in ("template", "medium"))
    return Embeddings(mean, log_var, [photos.ids[i] for i in photo], meta=rows[0][1].meta), plan, template, media


def _rows(
    bench: Bench, variance: str, view: NDArray[np.int64], photo: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], Embeddings]]:
    """(places, embeddings) of the rows of each view."""
    for number, what in enumerate(TRAIN_VIEWS):
        where = np.flatnonzero(view == number)
        yield where, bench.embeddings(what, variance, photo[where])
