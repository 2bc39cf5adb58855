"""Pair protocols with images of their own: CFP, insightface's ``.bin`` files (AgeDB, CALFW, CPLFW ...), YTF.

Heads come from elsewhere (see :func:`protocol_bench`). An image that is missing or in which no face is found fails to
enrol: its pairs stay, with the lowest score.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.report import EvalReport, pair_figures, pair_intervals
from faceunc.evaluation.setup import protocol_bench
from faceunc.evaluation.template_bench import Method, TemplateBench, methods
from faceunc.images.annotated import given_landmarks
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import PhotoSet
from faceunc.images.read import unpack_images
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.cfp import read_cfp
from faceunc.protocols.insightface_bin import read_bin
from faceunc.protocols.pairs import PairProtocol
from faceunc.protocols.template_set import TemplatePairs, TemplateSet
from faceunc.protocols.ytf import read_ytf, video_frames
from faceunc.storage import sha256_file

# Where insightface's 112 x 112 chips have the five points (the ArcFace template).
CHIP_SIDE = 112
CHIP_POINTS = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))


def evaluate_cfp(options: EvalOptions, kind: str, flip: bool = False) -> EvalReport:
    """CFP, frontal against profile ("FP") or frontal against frontal ("FF"): 7,000 pairs in ten folds."""
    pairs = read_cfp(options.data, kind)
    photos = PhotoSet(options.data, tuple(pairs.images))
    bench = _searched(options, photos, _subjects(pairs))
    return _evaluate(f"cfp-{kind.lower()}", bench, pairs, image_templates(pairs), flip)


def evaluate_bin(options: EvalOptions, flip: bool = False) -> EvalReport:
    """One of insightface's ``.bin`` files: pairs of aligned 112 x 112 chips, named by the file."""
    protocol = read_bin(options.data)
    root = options.cache / "bin" / sha256_file(options.data)[:16]
    names = unpack_images(protocol.images, root, options.show)
    photos = PhotoSet(root, tuple(names))
    points = np.tile(np.array(CHIP_POINTS, np.float32), (len(photos), 1, 1))
    landmarks, kind = given_landmarks(photos, points, None, options.cache, options.show)
    bench = protocol_bench(options, photos, landmarks, kind, [""] * len(photos))
    return _evaluate(options.data.stem, bench, protocol.pairs, image_templates(protocol.pairs), flip)


def evaluate_ytf(options: EvalOptions, splits: Path, sample: int | None = None) -> EvalReport:
    """YouTube Faces: a template per video, of all frames or of ``sample`` evenly spaced ones; 5,000 pairs."""
    pairs = read_ytf(splits)
    templates = video_templates(options.data, pairs, sample)
    photos = PhotoSet(options.data, tuple(templates.images))
    names, people = pairs.images, _subjects(pairs)
    subjects = [people[names[video]] for video in templates.template]
    bench = _searched(options, photos, dict(zip(photos.ids, subjects, strict=True)))
    report = _evaluate("ytf", bench, pairs, templates, flip=False)
    report.extra["frames of a video"] = "all" if sample is None else f"{sample}, evenly spaced"
    return report


def image_templates(pairs: PairProtocol) -> TemplateSet:
    """Every image of a pair protocol as a template of its own, in the order of ``pairs.images``."""
    rows = np.arange(len(pairs.images))
    return TemplateSet(tuple(pairs.images), rows, rows, rows, np.full(len(rows), -1))


def video_templates(root: Path, pairs: PairProtocol, sample: int | None) -> TemplateSet:
    """Every video as a template with one medium. A video without frames keeps one row, of an image that is missing."""
    videos = pairs.images
    frames = [video_frames(root, video, sample) or [f"{video}/missing"] for video in videos]
    if all(not (root / images[0]).is_file() for images in frames):
        raise InputError(f"{root}: expected YTF's videos (Person_Name/1/*.jpg), found none of {len(videos)}")
    rows = np.arange(len(videos))
    template = np.repeat(rows, [len(images) for images in frames])
    images = tuple(image for part in frames for image in part)
    return TemplateSet(images, template, np.zeros(len(images), np.int64), rows, np.full(len(videos), -1))


def _evaluate(what: str, bench: Bench, pairs: PairProtocol, templates: TemplateSet, flip: bool) -> EvalReport:
    check_folds(what, pairs)
    seen = TemplateBench(bench, templates, flip)
    report = EvalReport(what, bench.options, bench)
    index = {name: row for row, name in enumerate(pairs.images)}
    compared = TemplatePairs(_rows(index, pairs.first), _rows(index, pairs.second), pairs.same)
    single = len(templates.images) == len(templates)
    for method in methods(bench):
        if single and not _matters(method):
            continue
        scores = seen.verify(seen.pool(method), compared, method.kind, bench.options.show)
        labels = {"score": _name(method)} if single else {"pooling": method.pooling, "score": method.score}
        report.add(labels, pair_figures(scores, pairs) | pair_intervals(scores, pairs))
        report.add_curve(", ".join(labels.values()), sort_scores(scores, pairs.same))
    report.extra["protocol"] = {
        "pairs": len(pairs),
        "genuine": int(pairs.same.sum()),
        "failed to enrol": seen.failed,
        "pairs that they are in": int(
            (~np.isin(compared.first, seen.enrolled) | ~np.isin(compared.second, seen.enrolled)).sum()
        ),
    }
    return report


def check_folds(what: str, pairs: PairProtocol) -> None:
    """Raise InputError when a threshold cannot be chosen: the folds beside one hold genuine or impostor pairs only."""
    for fold in range(pairs.num_folds):
        same = pairs.same[pairs.fold != fold] if pairs.num_folds > 1 else pairs.same
        if same.all() or not same.any():
            where = f"beside fold {fold + 1}" if pairs.num_folds > 1 else "in it"
            counts = f"{int(same.sum())} genuine of {len(same)}"
            raise InputError(f"{what}: expected genuine and impostor pairs {where}, got {counts}")


def _matters(method: Method) -> bool:
    """Of single images every pooling is the same: keep one row a score."""
    return method.pooling == "mean of images" or (method.score == "mls bayes" and not method.how.media)


def _name(method: Method) -> str:
    return "cosine" if method.kind == "cosine" else f"mls ({method.variance})"


def _rows(index: dict[str, int], names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([index[name] for name in names], np.int64)


def _searched(options: EvalOptions, photos: PhotoSet, subjects: dict[str, str]) -> Bench:
    detector = FaceDetector("central")
    landmarks = find_landmarks(photos, detector, options.cache, options.show)
    if not (landmarks.state == 0).any():
        raise InputError(f"{options.data}: no face was found in any of the protocol's {len(photos)} images")
    return protocol_bench(options, photos, landmarks, detector.name, [subjects.get(name, "") for name in photos.ids])


def _subjects(pairs: PairProtocol) -> dict[str, str]:
    """Who is on every image (or video)."""
    sides = ((pairs.first, pairs.first_subject), (pairs.second, pairs.second_subject))
    return {name: who for names, people in sides for name, who in zip(names, people, strict=True)}
