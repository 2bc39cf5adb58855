"""What every evaluation begins with: photographs, landmarks, backbone and cross-fitted heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.backbones.registry import load_backbone
from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench, EvalOptions, recipes_of
from faceunc.heads.shipped import head_path
from faceunc.heads.store import StoredHead, load_head
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import Landmarks, find_landmarks
from faceunc.images.photos import PhotoSet, identity_folder
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.training.cache import FeatureSource
from faceunc.training.crossfit import CrossFit, cross_fit, hash_identities, split_identities
from faceunc.training.data import TRAIN_VIEWS

TEST_SEEDS = (101, 102, 103)  # the training views have others


def folder_bench(options: EvalOptions, pairs: PairProtocol | None = None) -> Bench:
    """A folder of identities with heads cross-fitted on them (or the user's head, which must not know them).

    Raises:
        InputError: photographs of ``pairs`` are missing, or the user's head knows the people.
    """
    if options.methods and options.head is not None:
        raise InputError("--method cross-fits heads of its own: leave out --head")
    photos = identity_folder(options.data)
    if pairs is not None:
        missing = [name for name in pairs.images if name not in photos.index]
        if missing:
            raise InputError(
                f"{options.data}: {len(missing)} photographs of the protocol are missing, first {missing[0]}"
            )
    given = _checked_head(options.head, photos.identities) if options.head else None
    backbone: Backbone = load_backbone(options.backbone, options.precision)
    detector = FaceDetector("central")
    landmarks = find_landmarks(photos, detector, options.cache, options.show)
    source = FeatureSource(photos, landmarks, detector.name, backbone, options.cache)
    part = split_identities(photos.identities, pairs, options.train.seed)
    return Bench(options, source, _one_head(given, source, part) if given else _cross_fitted(options, source, part))


def protocol_bench(
    options: EvalOptions, photos: PhotoSet, landmarks: Landmarks, landmarks_name: str, subjects: Sequence[str]
) -> Bench:
    """A protocol's own images. Heads: ``options.head``, else two cross-fitted on ``options.train_on``, else shipped.

    Args:
        landmarks_name: where the landmarks come from, for cache keys. subjects: who is on every image, "" where the
            protocol does not say; decides with ``train_on`` which head embeds it: the one that never met them.

    Raises:
        InputError: no head to be had for this backbone, or the given head knows these people.
    """
    backbone = load_backbone(options.backbone, options.precision)
    source = FeatureSource(photos, landmarks, landmarks_name, backbone, options.cache)
    if options.train_on is None:
        if options.methods:
            raise InputError("--method is for heads that are cross-fitted: give --train-on PEOPLE as well")
        if options.norm:
            raise InputError("--norm is for heads that are cross-fitted: give --train-on PEOPLE as well")
        if options.head is None and options.backbone != "dlib":
            raise InputError(
                f"no head is shipped for {options.backbone}: give --head, or --train-on a folder of people"
            )
        head = load_head(head_path(options.head or "dlib-pfe"))
        refuse_known_identities(head, [name for name in subjects if name], "give --train-on PEOPLE, or another --head")
        bench = Bench(options, source, _one_head(head, source, np.zeros(len(photos), np.int64)))
        return _count_people(bench, subjects, set(subjects))
    pairs_file = options.train_on / "pairs.txt"
    pairs = read_pairs(pairs_file) if pairs_file.is_file() else None
    training = folder_bench(replace(options, data=options.train_on, head=None), pairs)
    people = training.source.photos.identities
    heads = {}
    for name, fit in training.heads.items():
        part_of = dict(zip(people, fit.part.tolist(), strict=True))
        part = np.array([part_of.get(subject, 0) for subject in subjects], np.int64)
        heads[name] = CrossFit(part, fit.heads, fit.collapse)
    return _count_people(Bench(options, source, heads, training), subjects, set(people))


def _count_people(bench: Bench, subjects: Sequence[str], met: set[str]) -> Bench:
    """Say of how many images it is known that their head did not meet the person. met: names in the training data."""
    unnamed = sum(not name for name in subjects)
    elsewhere = sum(bool(name) and name not in met for name in subjects)
    bench.people = {
        "images of named people, held out": len(subjects) - unnamed - elsewhere,
        "images of named people that are not in the training data": elsewhere,
        "images of people that the protocol does not name": unnamed,
    }
    if unnamed:
        bench.warnings.append(
            f"{unnamed} of {len(subjects)} images are of people that the protocol does not name: "
            "whether the head was trained on them cannot be checked"
        )
    return bench


def _cross_fitted(options: EvalOptions, source: FeatureSource, part: NDArray[np.int64]) -> dict[str, CrossFit]:
    return {
        name: cross_fit(source, part, TRAIN_VIEWS, recipe, options.train, options.show)
        for name, recipe in recipes_of(options, source.backbone)
    }


def _one_head(head: StoredHead, source: FeatureSource, part: NDArray[np.int64]) -> dict[str, CrossFit]:
    head.check_backbone(source.backbone.spec)
    return {head.name: CrossFit(part, [head, head], [head.card.get("collapse", {})] * 2)}


def _checked_head(name: str | Path, identities: Sequence[str]) -> StoredHead:
    """The user's (or a shipped) head, refused at once when it knows these people."""
    head = load_head(head_path(name))
    refuse_known_identities(head, identities)
    return head


def refuse_known_identities(
    head: StoredHead, identities: Sequence[str], instead: str = "evaluate without --head (cross-fitted)"
) -> None:
    """Raise InputError when the head was trained on any of these people, or does not say on whom it was trained."""
    known = head.card.get("identity_hashes")
    if not isinstance(known, list):
        raise InputError(f"head {head.name} does not say on whom it was trained; it cannot be evaluated honestly")
    shared = set(known) & set(hash_identities(set(identities)))
    if shared:
        raise InputError(f"head {head.name} was trained on {len(shared)} of the people in this data; {instead}")
