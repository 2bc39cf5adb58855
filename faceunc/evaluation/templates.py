"""Templates of mixed quality: mean pooling against inverse-variance pooling, cosine against MLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.report import EvalReport, far_figures, mean_figures
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.templates import MixedTemplates, make_templates
from faceunc.scoring.fusion import fuse, fuse_mean
from faceunc.scoring.indexed import score_indexed
from faceunc.scoring.vmf import fuse_vmf

TARGETS = (1e-2, 1e-3, 1e-4, 1e-5)
POSTERIORS = ("bayes", "min", "harmonic")
Floats = NDArray[np.float32]


def evaluate_templates(options: EvalOptions, clean_share: float = 0.25) -> EvalReport:
    """All pairs of templates (2 to 5 images, people with at least four).

    TAR at FAR 1e-2 to 1e-5, mean over three seeds.
    """
    pairs_file = options.data / "pairs.txt"
    bench = folder_bench(options, read_pairs(pairs_file) if pairs_file.is_file() else None)
    bench.prepare([View(), *(View(mix_seed=seed) for seed in TEST_SEEDS)])
    report = EvalReport("templates", options, bench)
    photos = bench.source.photos
    figures: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in TEST_SEEDS:
        templates = make_templates(photos.identities, photos.ids, seed, clean_share=clean_share)
        upper = np.triu_indices(len(templates), 1)
        same = (templates.identity[:, None] == templates.identity[None, :])[upper]
        for pooling, score, fused in _pooled(bench, templates, View(mix_seed=seed)):
            scores = score_indexed(fused, *upper, score.split()[0])
            figures.setdefault((pooling, score), []).append(far_figures(sort_scores(scores, same), TARGETS))
            if seed == TEST_SEEDS[0]:
                report.add_curve(f"{pooling}, {score}", sort_scores(scores, same))
    for (pooling, score), rows in figures.items():
        report.add({"pooling": pooling, "score": score}, mean_figures(rows))
    report.extra["templates"] = {"count": len(templates), "pairs": len(same), "genuine": int(same.sum())}
    report.extra["clean share"] = clean_share
    return report


def _pooled(bench: Bench, templates: MixedTemplates, view: View) -> Iterator[tuple[str, str, Embeddings]]:
    """(pooling, score, one embedding a template) for every way that is compared."""
    for number, variance in enumerate(bench.head_names):
        clean, poor = bench.embeddings(View(), variance), bench.embeddings(view, variance)
        if number == 0 or bench.moves_mean(variance):
            pooled = _fuse_all(clean, poor, templates, lambda mean, log_var: (fuse_mean(mean), log_var[0]))
            yield f"mean ({variance})" if bench.moves_mean(variance) else "mean", "cosine", pooled
        for posterior in POSTERIORS:
            fused = _fuse_all(clean, poor, templates, lambda m, v, p=posterior: fuse(m, v, p))  # type: ignore[misc]
            if posterior == POSTERIORS[0]:
                yield f"inverse variance ({variance})", "cosine", fused
            yield f"inverse variance ({variance})", f"mls {posterior}", fused
        if (variance, "vmf") in [(head, score) for _, head, score in bench.methods]:
            fused = _fuse_all(clean, poor, templates, _fuse_concentrations)
            yield f"inverse variance ({variance})", "vmf product", fused


def _fuse_concentrations(mean: Floats, log_var: Floats) -> tuple[Floats, Floats]:
    """The product of von Mises-Fisher densities; log_var is -log kappa on both sides."""
    fused, log_kappa = fuse_vmf(mean, -log_var)
    return fused, -log_kappa


def _fuse_all(
    clean: Embeddings,
    poor: Embeddings,
    templates: MixedTemplates,
    pool: Callable[[Floats, Floats], tuple[Floats, Floats]],
) -> Embeddings:
    """One embedding a template."""
    parts = []
    for rows, degraded in zip(templates.members, templates.degraded, strict=True):
        mean = np.where(degraded[:, None], poor.mean[rows], clean.mean[rows])
        log_var = np.where(degraded[:, None], poor.log_var[rows], clean.log_var[rows])
        parts.append(pool(mean, log_var))
    ids = [f"{templates.names[who]}/{row}" for row, who in enumerate(templates.identity)]
    return replace(clean, mean=np.stack([mean for mean, _ in parts]), log_var=np.stack([v for _, v in parts]), ids=ids)
