"""Cross-quality LFW: the 6,000 pairs of View 2, (a) clean against degraded, (b) both degraded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import harmonic_log_var
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.report import EvalReport, mean_figures, pair_figures
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.images.degrade import KINDS
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.lfw import read_pairs
from faceunc.scoring.embedded import score_pairs
from faceunc.training.collapse import rank_correlation


def evaluate_cross_quality(options: EvalOptions, pairs_file: Path | None = None) -> EvalReport:
    """Mean over three seeds of the standard mix, drawn per image. Part (a) degrades the second image of every pair.

    The report also holds the rank correlation of sigma with the severity, over all kinds and kind by kind, beside that
    of the trivial measures; every face is seen by a head that never met the person.
    """
    pairs = read_pairs(pairs_file or options.data / "pairs.txt")
    bench = folder_bench(options, pairs)
    views = [View(mix_seed=seed) for seed in TEST_SEEDS]
    bench.prepare([View(), *views])
    report = EvalReport("cross-quality", options, bench)
    first, second = pair_rows(bench, pairs)
    for part, left_of in (("a", lambda view: View()), ("b", lambda view: view)):
        for name, variance, score in bench.methods:
            by_seed = [
                score_pairs(
                    bench.embeddings(left_of(view), variance, first), bench.embeddings(view, variance, second), score
                )
                for view in views
            ]
            report.add({"part": part, "score": name}, mean_figures([pair_figures(s, pairs) for s in by_seed]))
            report.add_curve(f"({part}) {name}", sort_scores(by_seed[0], pairs.same))
    report.extra["rank correlation with severity"] = severity_correlations(bench, views)
    return report


def severity_correlations(bench: Bench, views: list[View]) -> dict[str, dict[str, float]]:
    """Spearman with severity over the degraded views.

    Each head's sigma (all kinds and by kind), then the trivial measures. The face size is the original photograph's: it
    cannot follow a degradation that is drawn without regard to it, and stands there only because everybody asks.
    """
    photos, usable = bench.source.photos, bench.source.landmarks.state == 0
    degradations = [[view.degradation(name) for name in photos.ids] for view in views]
    severity = np.array([[d.severity for d in row] for row in degradations])[:, usable].ravel()
    kind = np.array([[d.kind for d in row] for row in degradations])[:, usable].ravel()
    measures: dict[str, NDArray[np.floating]] = {
        f"sigma ({variance})": np.stack([harmonic_log_var(bench.embeddings(view, variance).log_var) for view in views])
        for variance in bench.head_names
    }
    features = bench.source.features(views)
    measures["-norm"] = -np.stack([features[view].norm for view in views])
    measures["-sharpness"] = -np.stack([features[view].sharpness for view in views])
    measures["-face size"] = -np.stack([bench.source.landmarks.face_size] * len(views))
    result = {}
    for name, values in measures.items():
        flat = values[:, usable].ravel()
        kinds = {k: rank_correlation(flat[kind == k], severity[kind == k]) for k in KINDS if (kind == k).any()}
        result[name] = {"all kinds": rank_correlation(flat, severity), **kinds}
    return result
