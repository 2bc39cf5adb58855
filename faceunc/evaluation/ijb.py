"""IJB-A, IJB-B, IJB-C and protocols of their form: 1:1 verification of templates and open-set 1:N search."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings
from faceunc.errors import InputError
from faceunc.evaluation.fusion_fit import FusionFit, fit_fusion
from faceunc.evaluation.report import EvalReport, far_figures
from faceunc.evaluation.setup import Bench, EvalOptions, protocol_bench
from faceunc.evaluation.template_bench import Method, TemplateBench, methods
from faceunc.images.annotated import boxed_landmarks, given_landmarks
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import PhotoSet
from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.metrics.identification import SearchResult, cmc, tpir_at_fpir
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.plots.ijb import save_ijb
from faceunc.progress import bar
from faceunc.protocols.ijba import ijba_splits, read_ijba_split
from faceunc.protocols.ijbc import read_ijb
from faceunc.protocols.template_set import TemplateProtocol, TemplateSet

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FPIRS = (1e-1, 1e-2)
GAIN_AT = 1e-4
REPLICATES = 100


def evaluate_ijb(options: EvalOptions, name: str, images: Path | None = None, flip: bool = False) -> EvalReport:
    """IJB-B ("ijbb") or IJB-C ("ijbc"), or what ``faceunc protocol make-ijb`` made, in either layout.

    Args:
        images: folder that the image paths are relative to (default: ``options.data``). flip: add the mirror image.
    """
    protocol = read_ijb(options.data, name)
    bench = template_set_bench(options, protocol.templates, images or options.data, subject_names(options.data))
    run = _Run(protocol, TemplateBench(bench, protocol.templates, flip), EvalReport(name, options, bench))
    chosen = list(methods(bench))
    with bar("methods", len(chosen), "method", show=options.show) as progress:
        for method in chosen:
            run.add(method.pooling, method.score, method.kind, run.templates.pool(method))
            progress.update(1)
    for variance in bench.variances if bench.training else []:
        fits = fit_both(bench.training, variance)  # type: ignore[arg-type]
        pooled = run.templates.pool_fitted(variance, fits)
        run.add(f"inverse variance, media ({variance})", "mls fitted", "mls", pooled)
        run.report.extra[f"fusion fitted ({variance})"] = {f"for part {k}": asdict(fit) for k, fit in enumerate(fits)}
    run.report.extra["protocol"] = {**counts(protocol, run.templates), "flip": flip}
    run.report.extra["gain"] = {"best against mean of media, cosine": run.gain()}
    run.report.save_figure = lambda path: save_ijb(run.report, path)
    return run.report


class _Run:
    """One evaluation under way; keeps the scores of the baseline and of the best method so far."""

    def __init__(self, protocol: TemplateProtocol, templates: TemplateBench, report: EvalReport) -> None:
        self.protocol, self.templates, self.report = protocol, templates, report
        self._kept: dict[str, tuple[str, float, NDArray[np.float32]]] = {}

    def add(self, pooling: str, score: str, kind: str, pooled: Embeddings) -> None:
        """One row: all comparisons, all searches."""
        protocol = self.protocol
        scores = self.templates.verify(pooled, protocol.pairs, kind, False)
        ordered = sort_scores(scores, protocol.pairs.same)
        found = [self.templates.identify(pooled, search, kind, False) for search in protocol.searches]
        self.report.add(
            {"pooling": pooling, "score": score}, {**far_figures(ordered, TARGETS), **identification(found)}
        )
        self.report.add_curve(f"{pooling}, {score}", scores, protocol.pairs.same)
        tar = ordered.tar_at_far(GAIN_AT).tar
        if (pooling, score) == ("mean of media", "cosine"):
            self._kept["base"] = (f"{pooling}, {score}", tar, scores)
        elif tar > self._kept.get("best", ("", -1.0))[1]:
            self._kept["best"] = (f"{pooling}, {score}", tar, scores)

    def gain(self) -> dict[str, Any]:
        """How much of the baseline's FNMR at FAR 1e-4 the best method takes away, with an interval over subjects."""
        pairs, subject = self.protocol.pairs, self.templates.templates.subject
        (_, _, base), (name, _, best) = self._kept["base"], self._kept["best"]

        def share(rows: NDArray[np.int64]) -> float:
            same = pairs.same[rows]
            before, after = (1.0 - sort_scores(s[rows], same).tar_at_far(GAIN_AT).tar for s in (base, best))
            return 1.0 - after / before if before else float("nan")

        facts: dict[str, Any] = {
            "best": name,
            "at FAR": GAIN_AT,
            "share of FNMR taken away": share(np.arange(len(pairs))),
        }
        try:
            interval = subject_bootstrap(share, subject[pairs.first], subject[pairs.second], REPLICATES)
        except ValueError:  # no miss to take away, or too few subjects
            return facts
        return facts | {"low": interval.low, "high": interval.high, "replicates": REPLICATES}


def fit_both(training: Bench, variance: str) -> tuple[FusionFit, FusionFit]:
    """Fusion for the people of part 0, fitted on those of part 1, and the other way round."""
    return fit_fusion(training, variance, 1), fit_fusion(training, variance, 0)


def identification(found: list[SearchResult]) -> dict[str, float]:
    """Rank-1 and rank-5, TPIR at FPIR 1e-1 and 1e-2: each gallery for itself, then the mean."""
    rows: list[dict[str, float]] = []
    for result in found:
        ranks = {f"rank-{rank}": value for rank, value in cmc(result, (1, 5)).items()}
        points = [tpir_at_fpir(result, target) for target in FPIRS]
        tpir = {f"TPIR@FPIR {p.target:g}" + ("" if p.reliable else " (few)"): p.tpir for p in points}
        rows.append({**ranks, **tpir})
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} if rows else {}


def counts(protocol: TemplateProtocol, templates: TemplateBench) -> dict[str, Any]:
    """What was compared, and what could not be enrolled."""
    pairs = protocol.pairs
    return {
        "templates": len(protocol.templates),
        "templates that failed to enrol": templates.failed,
        "images": len(protocol.templates.images),
        "pairs": len(pairs),
        "genuine": int(pairs.same.sum()),
        "galleries": {search.name: len(search.gallery) for search in protocol.searches},
        "probes": {search.name: len(search.probe) for search in protocol.searches},
    }


def template_set_bench(options: EvalOptions, templates: TemplateSet, root: Path, names: dict[int, str]) -> Bench:
    """The bench of a template set: landmarks from its points, else inside its boxes, else by search."""
    if not root.is_dir():
        raise InputError(f"{root}: expected the folder of the protocol's images, no such folder")
    photos = PhotoSet(root, tuple(templates.images))
    if not any((root / image).is_file() for image in photos.ids):
        raise InputError(f"{root}: none of the protocol's {len(photos)} images is there, first {photos.ids[0]}")
    if templates.points is not None:
        landmarks, kind = given_landmarks(photos, templates.points, templates.score, options.cache, options.show)
    elif templates.box is not None:
        landmarks, kind = boxed_landmarks(photos, templates.box, options.cache, options.show)
    else:
        detector = FaceDetector("central")
        landmarks, kind = find_landmarks(photos, detector, options.cache, options.show), detector.name
    subjects = [names.get(int(who), "") for who in templates.subject[templates.template]]
    return protocol_bench(options, photos, landmarks, kind, subjects)


def subject_names(root: Path) -> dict[int, str]:
    """Names of subjects, where the protocol has them (``meta/subjects.csv`` of ``make-ijb``)."""
    path = root / "meta" / "subjects.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        try:
            return {int(row["SUBJECT_ID"]): row["NAME"] for row in csv.DictReader(file)}
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: expected columns SUBJECT_ID and NAME ({error})") from None


def evaluate_ijba(options: EvalOptions, images: Path | None = None) -> EvalReport:
    """IJB-A 1:1: every split that is there; mean and standard deviation over splits of TAR at FAR 1e-2 and 1e-3."""
    splits = ijba_splits(options.data)
    figures: dict[Method, list[dict[str, float]]] = {}
    report: EvalReport | None = None
    for split in splits:
        protocol = read_ijba_split(options.data, split)
        bench = template_set_bench(options, protocol.templates, images or options.data, {})
        templates = TemplateBench(bench, protocol.templates)
        report = report or EvalReport("ijba", options, bench)
        report.extra[f"split {split}"] = counts(protocol, templates)
        for method in methods(bench):
            scores = templates.verify(templates.pool(method), protocol.pairs, method.kind, False)
            figures.setdefault(method, []).append(far_figures(sort_scores(scores, protocol.pairs.same), (1e-2, 1e-3)))
            if split == splits[0]:
                report.add_curve(f"{method.pooling}, {method.score}", scores, protocol.pairs.same)
    if report is None:
        raise InputError(f"{options.data}: expected folders split1 ... split10 of IJB-A's 1:1 protocol")
    for method, rows in figures.items():
        report.add({"pooling": method.pooling, "score": method.score}, over_splits(rows))
    return report


def over_splits(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean and standard deviation over splits of every figure."""
    values: dict[str, NDArray[np.float64]] = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    means = {key: float(v.mean()) for key, v in values.items()}
    return means | {f"std {key}": float(v.std()) for key, v in values.items() if key.startswith("TAR")}
