"""Which photographs become which templates of an IJB-C-like protocol: a function of the names and a seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import InputError
from faceunc.images.degrade import CLEAN, MIX_KINDS, MIX_SHARES, Degradation, image_seed

GALLERIES = ("G1", "G2")


@dataclass(frozen=True)
class PlanOptions:
    """How templates are drawn.

    Attributes:
        seed: everything follows from it and from the names.
        video_share: probability that a photograph becomes a video of degraded frames and not a still.
        frames: least and greatest number of frames of a video.
        media: least and greatest number of media of a probe template.
        max_photos: most photographs of one person that are used.
        pairs: about how many 1:1 comparisons; all genuine ones are kept (at most half), impostor ones are drawn.
    """

    seed: int = 0
    video_share: float = 0.5
    frames: tuple[int, int] = (3, 5)
    media: tuple[int, int] = (1, 4)
    max_photos: int = 40
    pairs: int = 2_000_000


@dataclass(frozen=True)
class Row:
    """One image to be made: ``photo`` is a position in the photo set, ``frame`` its number in the video, -1 a still."""

    template: int
    medium: int
    photo: int
    frame: int
    degradation: Degradation
    seed: int


@dataclass(frozen=True)
class Plan:
    """The whole protocol before any image is made.

    Attributes:
        rows: one an image, sorted by template and medium.
        subject: int64 (T,), who a template shows, index into ``names``. part: int64 (T,), 0 or 1 for the galleries G1
            and G2, -1 for a probe.
        first, second, same: (P,) 1:1 comparisons: template numbers of a gallery and a probe template.
    """

    rows: list[Row]
    names: list[str]
    subject: NDArray[np.int64]
    part: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    same: NDArray[np.bool_]


def plan_ijb(identities: Sequence[str], ids: Sequence[str], options: PlanOptions | None = None) -> Plan:
    """Draw galleries, probes, media and comparisons.

    Every person has one gallery template, in G1 or G2. Of people with several photographs about a third (at most five)
    go there and the others to probe templates of 1 to 4 media; people with one photograph are enrolled only. No
    photograph is in two templates. Every probe is searched in both galleries, and so meets one without its person.

    Args:
        identities, ids: person and name of every photograph.

    Raises:
        InputError: fewer than two people with two photographs.
    """
    options = options or PlanOptions()
    people = _people(identities, ids, options)
    names = sorted(people)
    several = sum(len(rows) >= 2 for rows in people.values())
    if several < 2:
        raise InputError(f"an IJB-like protocol needs two people with two photographs each, found {several}")
    gallery = np.random.default_rng([options.seed, 11]).permutation(len(names)) % 2
    rows: list[Row] = []
    subject: list[int] = []
    part: list[int] = []
    medium = 0
    for number, name in enumerate(names):
        for role, photos in _templates(people[name], int(gallery[number]), image_seed(options.seed, name), options):
            for photo in photos:
                rows += _medium(len(subject), medium, photo, ids[photo], len(people[name]) > 1, options)
                medium += 1
            subject.append(number)
            part.append(role)
    who, where = np.array(subject, np.int64), np.array(part, np.int64)
    return Plan(rows, names, who, where, *_comparisons(who, where, options))


def _people(identities: Sequence[str], ids: Sequence[str], options: PlanOptions) -> dict[str, list[int]]:
    """At most ``max_photos`` of every person, in an order of chance."""
    by_person: dict[str, list[int]] = defaultdict(list)
    for position in sorted(range(len(ids)), key=lambda row: ids[row]):
        by_person[identities[position]].append(position)
    for name, rows in by_person.items():
        rng = np.random.default_rng([image_seed(options.seed, name), 0])
        by_person[name] = rng.permutation(rows)[: options.max_photos].tolist()
    return dict(by_person)


def _templates(photos: list[int], gallery: int, seed: int, options: PlanOptions) -> list[tuple[int, list[int]]]:
    """(part, photographs) of every template of one person: the gallery template first."""
    rng = np.random.default_rng([seed, 1])
    enrolled = min(5, max(1, len(photos) // 3))
    templates = [(gallery, photos[:enrolled])]
    rest = photos[enrolled:]
    while rest:
        size = int(rng.integers(options.media[0], options.media[1] + 1))
        templates.append((-1, rest[:size]))
        rest = rest[size:]
    return templates


def _medium(template: int, medium: int, photo: int, name: str, videos: bool, options: PlanOptions) -> list[Row]:
    """One still, or the frames of one video: one kind of degradation, severities around a common one."""
    seed = image_seed(options.seed, name)
    rng = np.random.default_rng([seed, 2])
    if not videos or rng.uniform() >= options.video_share:
        return [Row(template, medium, photo, -1, CLEAN, seed)]
    kind, level = str(rng.choice(MIX_KINDS, p=MIX_SHARES)), rng.uniform()
    rows = []
    for frame in range(int(rng.integers(options.frames[0], options.frames[1] + 1))):
        severity = float(np.clip(level + rng.uniform(-0.15, 0.15), 0.0, 1.0))
        own = int(rng.integers(2**62))
        rows.append(Row(template, medium, photo, frame, Degradation(kind, severity, own), own))
    return rows


def _comparisons(
    subject: NDArray[np.int64], part: NDArray[np.int64], options: PlanOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """All genuine gallery-probe pairs and as many impostor ones as there is room for, sorted."""
    gallery, probe = np.flatnonzero(part >= 0), np.flatnonzero(part < 0)
    own = np.empty(int(subject.max()) + 1, np.int64)
    own[subject[gallery]] = np.arange(len(gallery))
    genuine = own[subject[probe]] * len(probe) + np.arange(len(probe))
    total = len(gallery) * len(probe)
    chosen = np.arange(total) if total <= options.pairs else _draw(total, options, genuine)
    first, second = gallery[chosen // len(probe)], probe[chosen % len(probe)]
    return first, second, subject[first] == subject[second]


def _draw(total: int, options: PlanOptions, genuine: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of comparisons: the genuine ones and distinct others, about ``options.pairs`` in all, ascending."""
    rng = np.random.default_rng([options.seed, 12])
    wanted = min(max(options.pairs, 2 * len(genuine)), total)
    drawn = rng.choice(total, wanted, replace=False, shuffle=False)
    chosen = np.sort(np.concatenate([genuine, drawn]))  # numpy's own unique hashes, and takes half a minute
    return chosen[np.diff(chosen, prepend=-1) > 0]
