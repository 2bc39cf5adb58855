"""The tests of the noise sweep: LFW, cross-quality and templates of ``faceunc eval``, for chosen scores alone.

The same protocols, and the same figures to the last digit but one, without the posteriors and intervals that a sweep of
many heads has no time for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings, concatenate, harmonic_log_var
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.lfw import flip_fused, pair_rows
from faceunc.evaluation.report import FEW, far_figures, pair_figures
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.evaluation.templates import TARGETS
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.pairs import PairProtocol
from faceunc.protocols.templates import MixedTemplates, make_templates
from faceunc.scoring.embedded import score_pairs
from faceunc.scoring.indexed import score_indexed
from faceunc.scoring.pooling import Pooling, pool_templates
from faceunc.training.collapse import rank_correlation

Figures = dict[str, float]
MIXES = tuple(View(mix_seed=seed) for seed in TEST_SEEDS)
TEST_VIEWS = (View(), View(flip=True), *MIXES)


def measure(bench: Bench, pairs: PairProtocol, name: str, score: str) -> Figures:
    """Figures of the head ``name`` by one score, "cosine" or "mls", on photographs as they are and on the mixes.

    LFW View 2 with flip; cross-quality (a) and (b), means over three seeds; templates pooled by their mean (cosine) or
    by inverse variance with the posterior "bayes" (mls), means over three seeds.
    """
    first, second = pair_rows(bench, pairs)
    fused = flip_fused(bench, name)
    lfw = pair_figures(score_pairs(fused[first], fused[second], score), pairs)
    figures = {f"LFW {key}": lfw[key] for key in ("accuracy", "eer")}
    for part in ("a", "b"):
        rows = []
        for view in MIXES:
            left = bench.embeddings(view if part == "b" else View(), name, first)
            rows.append(pair_figures(score_pairs(left, bench.embeddings(view, name, second), score), pairs))
        figures |= {f"({part}) {key}": value for key, value in _means(rows).items()}
    templates = [_template_figures(bench, name, score, seed) for seed in TEST_SEEDS]
    return figures | {f"templates {key}": value for key, value in _means(templates).items()}


def severity_correlation(bench: Bench, name: str) -> float:
    """Rank correlation of sigma with the severity of the mixes, all kinds, over all usable photographs."""
    usable = bench.source.landmarks.state == 0
    severity = [[view.degradation(image).severity for image in bench.source.photos.ids] for view in MIXES]
    sigma = [harmonic_log_var(bench.embeddings(view, name).log_var) for view in MIXES]
    return rank_correlation(np.array(sigma)[:, usable].ravel(), np.array(severity)[:, usable].ravel())


def _means(rows: list[Figures]) -> Figures:
    """Mean of every figure over seeds; the mark of those with few impostors behind them is left out."""
    plain = [{key.removesuffix(FEW): value for key, value in row.items()} for row in rows]
    return {
        key: float(np.mean([row[key] for row in plain]))
        for key in plain[0]
        if not key.startswith(("far ", "std ", "low ", "high "))
    }


def _template_figures(bench: Bench, name: str, score: str, seed: int) -> Figures:
    photos = bench.source.photos
    templates = make_templates(photos.identities, photos.ids, seed)
    images, template = _members(bench, name, templates, View(mix_seed=seed))
    pooling = Pooling("equal") if score == "cosine" else Pooling(posterior="bayes")
    fused = pool_templates(images, template, pooling)
    upper = np.triu_indices(len(templates), 1)
    same = (templates.identity[:, None] == templates.identity[None, :])[upper]
    return far_figures(sort_scores(score_indexed(fused, *upper, score), same), TARGETS)


def _members(bench: Bench, name: str, templates: MixedTemplates, poor: View) -> tuple[Embeddings, NDArray[np.int64]]:
    """(embeddings of all members, clean ones first, the template of each)."""
    rows, degraded = np.concatenate(templates.members), np.concatenate(templates.degraded)
    template = np.repeat(np.arange(len(templates)), [len(members) for members in templates.members])
    parts = [bench.embeddings(View(), name, rows[~degraded]), bench.embeddings(poor, name, rows[degraded])]
    return concatenate(parts), np.concatenate([template[~degraded], template[degraded]])
