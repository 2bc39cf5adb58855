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
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.fusion_fit import FusionFit, fit_both
from faceunc.evaluation.report import FEW, EvalReport, averaged, far_figures
from faceunc.evaluation.setup import protocol_bench
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
    check_labels(options.data, protocol)
    # without the 1N files the reader numbers the subjects itself, and the names would go to others
    names = subject_names(options.data) if protocol.searches else {}
    bench = template_set_bench(options, protocol.templates, images or options.data, names)
    fits = _fits(bench)
    run = _Run(protocol, TemplateBench(bench, protocol.templates, flip), EvalReport(name, options, bench), bool(fits))
    chosen = list(methods(bench))
    with bar("methods", len(chosen), "method", show=options.show) as progress:
        for method in chosen:
            run.add(method.pooling, method.score, method.kind, run.templates.pool(method))
            progress.update(1)
    for variance, both in fits.items():
        pooled = run.templates.pool_fitted(variance, both)
        run.add(f"inverse variance, media ({variance})", "mls fitted", "mls", pooled)
        run.report.extra[f"fusion fitted ({variance})"] = {f"for part {k}": asdict(fit) for k, fit in enumerate(both)}
    run.report.extra["protocol"] = {**counts(protocol, run.templates), "flip": flip}
    run.report.extra["gain"] = {"against mean of media, cosine": run.gain(options.show)}
    run.report.save_figure = lambda path: save_ijb(run.report, path)
    return run.report


def _fits(bench: Bench) -> dict[str, tuple[FusionFit, FusionFit]]:
    """Fusion for every head that is cross-fitted; none, with a warning, when there are too few people to fit it on."""
    if bench.training is None:
        return {}
    try:
        return {variance: fit_both(bench.training, variance) for variance in bench.head_names}
    except InputError as error:
        bench.warnings.append(f"too few training people to fit the fusion of templates: {error}")
        return {}


class _Run:
    """One evaluation under way; keeps the scores of the two methods that the gain compares."""

    def __init__(self, protocol: TemplateProtocol, templates: TemplateBench, report: EvalReport, fitted: bool) -> None:
        self.protocol, self.templates, self.report = protocol, templates, report
        variance = templates.bench.head_names[-1]
        named = (f"inverse variance, media ({variance})", "mls fitted" if fitted else "mls bayes")
        self._compared = {("mean of media", "cosine"): "base", named: "ours"}
        self._kept: dict[str, NDArray[np.float32]] = {}

    def add(self, pooling: str, score: str, kind: str, pooled: Embeddings) -> None:
        """One row: all comparisons, all searches."""
        protocol = self.protocol
        scores = self.templates.verify(pooled, protocol.pairs, kind, False)
        ordered = sort_scores(scores, protocol.pairs.same)
        found = [self.templates.identify(pooled, search, kind, False) for search in protocol.searches]
        self.report.add({"pooling": pooling, "score": score}, far_figures(ordered, TARGETS) | identification(found))
        self.report.add_curve(f"{pooling}, {score}", ordered)
        if (pooling, score) in self._compared:
            self._kept[self._compared[pooling, score]] = scores

    def gain(self, show: bool | None) -> dict[str, Any]:
        """How much of the baseline's FNMR at FAR 1e-4 one method takes away, with an interval over subjects.

        The method is named before any figure is seen: fitted fusion of the last head where fusion could be fitted.
        """
        pairs, subject = self.protocol.pairs, self.templates.templates.subject
        base, ours = self._kept["base"], self._kept["ours"]
        (name,) = (", ".join(key) for key, role in self._compared.items() if role == "ours")
        facts: dict[str, Any] = {"method": name, "at FAR": f"{GAIN_AT:g}"}
        if not sort_scores(base, pairs.same).tar_at_far(GAIN_AT).reliable:
            facts["at FAR"] += FEW
        with bar("bootstrap", REPLICATES + 1, "replicate", show=show) as progress:

            def share(rows: NDArray[np.int64]) -> float:
                progress.update(1)
                same = pairs.same[rows]
                before, after = (1.0 - sort_scores(s[rows], same).tar_at_far(GAIN_AT).tar for s in (base, ours))
                return 1.0 - after / before if before else float("nan")

            try:
                found = subject_bootstrap(share, subject[pairs.first], subject[pairs.second], REPLICATES)
            except ValueError as error:  # no miss to take away, or too few subjects
                return facts | {"no figure": f"too few misses or subjects ({error})"}
        ends = {"low (95%)": found.low, "high (95%)": found.high, "resamples of subjects": REPLICATES}
        return facts | {"share of FNMR taken away": found.value, **ends}


def identification(found: list[SearchResult]) -> dict[str, float]:
    """Rank-1 and rank-5, TPIR at FPIR 1e-1 and 1e-2 (where there are non-mated probes): the mean of both galleries."""
    rows: list[dict[str, float]] = []
    for result in found:
        figures = {f"rank-{rank}": value for rank, value in cmc(result, (1, 5)).items()}
        if not result.mated.all():
            points = [tpir_at_fpir(result, target) for target in FPIRS]
            figures |= {f"TPIR@FPIR {p.target:g}" + ("" if p.reliable else FEW): p.tpir for p in points}
        rows.append(figures)
    return averaged(rows) if rows else {}


def check_labels(where: Path, protocol: TemplateProtocol) -> None:
    """Raise InputError when nothing can be measured: no genuine or no impostor pair, or a search without a mate."""
    genuine, pairs = int(protocol.pairs.same.sum()), len(protocol.pairs)
    if genuine in (0, pairs):
        raise InputError(f"{where}: expected genuine and impostor pairs, got {genuine} genuine of {pairs}")
    subject = protocol.templates.subject
    for search in protocol.searches:
        if not np.isin(subject[search.probe], subject[search.gallery]).any():
            raise InputError(f"{where}: no probe has its subject in gallery {search.name}")


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
        what = f"none of the protocol's {len(photos)} images is there, first {photos.ids[0]}"
        raise InputError(f"{root}: {what}; --images names the folder that they start at")
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
        check_labels(options.data / f"split{split}", protocol)
        bench = template_set_bench(options, protocol.templates, images or options.data, {})
        templates = TemplateBench(bench, protocol.templates)
        report = report or EvalReport("ijba", options, bench)
        report.extra[f"split {split}"] = counts(protocol, templates)
        for method in methods(bench):
            scores = templates.verify(templates.pool(method), protocol.pairs, method.kind, False)
            ordered = sort_scores(scores, protocol.pairs.same)
            figures.setdefault(method, []).append(far_figures(ordered, (1e-2, 1e-3)))
            if split == splits[0]:
                report.add_curve(f"{method.pooling}, {method.score}", ordered)
    if report is None:
        raise InputError(f"{options.data}: expected folders split1 ... split10 of IJB-A's 1:1 protocol")
    for method, rows in figures.items():
        report.add({"pooling": method.pooling, "score": method.score}, averaged(rows, "over splits"))
    return report
