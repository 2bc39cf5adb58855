"""LFW View 2: ten folds, with and without flip, cosine against MLS."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.report import EvalReport, far_figures, pair_figures, pair_intervals
from faceunc.evaluation.setup import folder_bench
from faceunc.evaluation.template_bench import flip_sum
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.metrics.verification import kfold_accuracy
from faceunc.protocols.lfw import read_pairs, read_view1
from faceunc.protocols.pairs import PairProtocol
from faceunc.scoring.embedded import score_pairs

CLEAN, FLIP = View(), View(flip=True)


def evaluate_lfw(options: EvalOptions, pairs_file: Path | None = None, what: str = "lfw") -> EvalReport:
    """Run LFW's View 2 (or another file of its layout).

    No pair is dropped; failed detections are centre crops, counted.
    """
    pairs = read_pairs(pairs_file or options.data / "pairs.txt")
    bench = folder_bench(options, pairs)
    bench.prepare([CLEAN, FLIP])
    report = EvalReport(what, options, bench)
    first, second = pair_rows(bench, pairs)
    for flip in (False, True):
        for name, variance, score in bench.methods:
            embeddings = flip_fused(bench, variance) if flip else bench.embeddings(CLEAN, variance)
            scores = score_pairs(embeddings[first], embeddings[second], score)
            report.add({"score": name, "flip": flip}, pair_figures(scores, pairs) | pair_intervals(scores, pairs))
            report.add_curve(name + (", flip" if flip else ""), sort_scores(scores, pairs.same))
    return report


def evaluate_view1(options: EvalOptions) -> EvalReport:
    """LFW View 1: the threshold is chosen on ``pairsDevTrain.txt``, all figures are of ``pairsDevTest.txt``.

    Heads are cross-fitted between the people of the two files. View 1 is for development: report View 2.
    """
    pairs = read_view1(options.data)
    bench = folder_bench(options, pairs)
    bench.prepare([CLEAN, FLIP])
    report = EvalReport("lfw-view1", options, bench)
    first, second = pair_rows(bench, pairs)
    test = pairs.fold == 1
    for flip in (False, True):
        for name, variance, score in bench.methods:
            embeddings = flip_fused(bench, variance) if flip else bench.embeddings(CLEAN, variance)
            scores = score_pairs(embeddings[first], embeddings[second], score)
            accuracy = float(kfold_accuracy(scores, pairs.same, pairs.fold).accuracy[1])
            ordered = sort_scores(scores[test], pairs.same[test])
            figures = {**far_figures(ordered, (1e-1, 1e-2)), "eer": ordered.equal_error_rate()}
            report.add({"score": name, "flip": flip}, {"accuracy": accuracy, **figures})
            report.add_curve(name + (", flip" if flip else ""), ordered)
    return report


def pair_rows(bench: Bench, pairs: PairProtocol) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in the photo set of both sides of every pair."""
    index = bench.source.photos.index
    return np.array([index[name] for name in pairs.first]), np.array([index[name] for name in pairs.second])


def flip_fused(bench: Bench, variance: str) -> Embeddings:
    """All photographs, each fused with its mirror image."""
    return flip_sum(bench.embeddings(CLEAN, variance), bench.embeddings(FLIP, variance))
