"""Choosing the photographs of a gallery, on LFW: keep k of a person's photographs of mixed quality, and verify."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import Embeddings, concatenate
from faceunc.errors import InputError
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.recipes_table import Row
from faceunc.evaluation.rejection import measures
from faceunc.images.degrade import image_seed
from faceunc.images.views import View
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.recipes.gallery import choose_photos
from faceunc.scoring.indexed import score_all
from faceunc.scoring.pooling import Pooling, pool_templates

Ints = NDArray[np.int64]
KEEPS = (1, 2, 3, 5)
TARGETS = (1e-2, 1e-3)
RIVALS = ("sharpness", "norm", "detector score")
CHOICES = ("random", *RIVALS, "sigma", "information", "representative")
ALL = "all kept"
POOLINGS = {
    "mean, cosine": (Pooling("equal"), "cosine"),
    "inverse variance, mls": (Pooling(posterior="correlated", rho=0.2), "mls"),
}
_RANDOM_DRAWS = 3


@dataclass(frozen=True)
class Galleries:
    """Photographs of people with at least ``least`` of them.

    Attributes:
        rows, degraded: for each person, positions of the candidates, and which of them are seen in the degraded view.
        probes: (Q,) positions of the probes, no candidates. owner: (Q,) whose they are.
    """

    rows: list[Ints]
    degraded: list[NDArray[np.bool_]]
    probes: Ints
    owner: Ints


def make_galleries(
    identities: Sequence[str],
    usable: NDArray[np.bool_],
    seed: int,
    least: int = 6,
    most: int = 15,
    probes: int = 5,
    clean_share: float = 0.25,
) -> Galleries:
    """Shuffle each person's photographs: up to ``probes`` become probes, ``least - 1`` to ``most`` of the rest
    candidates, each degraded unless it is clean with probability ``clean_share``. All is a function of the seed.

    Raises:
        InputError: fewer than two people have ``least`` photographs.
    """
    by_person: dict[str, list[int]] = defaultdict(list)
    for position, (name, good) in enumerate(zip(identities, usable, strict=True)):
        if good:
            by_person[name].append(position)
    names = sorted(name for name, rows in by_person.items() if len(rows) >= least)
    if len(names) < 2:
        raise InputError(f"galleries need two people with at least {least} photographs each, found {len(names)}")
    rows, degraded, probe, owner = [], [], [], []
    for number, name in enumerate(names):
        rng = np.random.default_rng(image_seed(seed, name))
        order = rng.permutation(by_person[name])
        away = min(probes, len(order) - least + 1)
        rows.append(order[away : away + most].astype(np.int64))
        degraded.append(rng.uniform(size=len(rows[-1])) >= clean_share)
        probe.append(order[:away])
        owner += [number] * away
    return Galleries(rows, degraded, np.concatenate(probe).astype(np.int64), np.array(owner))


def gallery_rows(bench: Bench, head: str, seed: int) -> list[Row]:
    """TAR at FAR 1e-2 and 1e-3 of the galleries' templates against all probes, by rule and number kept; one seed.

    A random choice is the mean over three draws.
    """
    view = View(mix_seed=seed)
    bench.prepare([View(), view])
    galleries = make_galleries(bench.source.photos.identities, bench.source.landmarks.state == 0, seed)
    candidates, qualities = _candidates(bench, head, galleries, view)
    probes = {name: bench.embeddings(v, head, galleries.probes) for name, v in (("clean", View()), ("degraded", view))}
    keeps = [(rule, keep) for rule in CHOICES for keep in KEEPS] + [(ALL, 0)]
    rows = []
    for rule, keep in keeps:
        draws = range(_RANDOM_DRAWS if rule == "random" else 1)
        chosen = [_choose(candidates, qualities, rule, keep, seed, draw) for draw in draws]
        for pooling in POOLINGS:
            for name, faces in probes.items():
                tars = np.mean([_verify(candidates, c, faces, galleries.owner, pooling) for c in chosen], axis=0)
                figures = {f"TAR@FAR {t:g}": float(tar) for t, tar in zip(TARGETS, tars, strict=True)}
                rows.append(Row({"probes": name, "pooling": pooling, "rule": rule, "keep": keep or "all"}, figures))
    return rows


def describe(bench: Bench, seed: int) -> dict[str, float]:
    """How large the test is."""
    made = make_galleries(bench.source.photos.identities, bench.source.landmarks.state == 0, seed)
    sizes = [len(rows) for rows in made.rows]
    return {
        "people": len(sizes),
        "photographs to choose from, mean": float(np.mean(sizes)),
        "probes": len(made.probes),
        "genuine comparisons": len(made.probes),
        "impostor comparisons": len(made.probes) * (len(sizes) - 1),
    }


def _candidates(
    bench: Bench, head: str, galleries: Galleries, view: View
) -> tuple[list[Embeddings], list[dict[str, NDArray[np.float64]]]]:
    """Of every person: the photographs to choose from, and their rival qualities."""
    clean, poor = bench.embeddings(View(), head), bench.embeddings(view, head)
    of_clean, of_poor = measures(bench, View()), measures(bench, view)
    faces, qualities = [], []
    for rows, degraded in zip(galleries.rows, galleries.degraded, strict=True):
        both, pick = concatenate([clean[rows], poor[rows]]), np.arange(len(rows)) + len(rows) * degraded
        faces.append(both[pick])
        qualities.append({name: np.where(degraded, of_poor[name][rows], of_clean[name][rows]) for name in RIVALS})
    return faces, qualities


def _choose(
    candidates: list[Embeddings],
    qualities: list[dict[str, NDArray[np.float64]]],
    rule: str,
    keep: int,
    seed: int,
    draw: int,
) -> list[Ints]:
    """Positions kept of every person."""
    if rule == ALL:
        return [np.arange(len(faces)) for faces in candidates]
    if rule == "random":
        rng = np.random.default_rng([seed, draw, 41])
        return [rng.permutation(len(faces))[:keep] for faces in candidates]
    if rule in RIVALS:
        pairs = zip(candidates, qualities, strict=True)
        return [choose_photos(faces, keep, "quality", quality[rule]) for faces, quality in pairs]
    return [choose_photos(faces, keep, rule) for faces in candidates]


def _verify(
    candidates: list[Embeddings], chosen: list[Ints], probes: Embeddings, owner: Ints, pooling: str
) -> list[float]:
    """TAR at each target."""
    how, score = POOLINGS[pooling]
    kept = concatenate([faces[rows] for faces, rows in zip(candidates, chosen, strict=True)])
    template = np.repeat(np.arange(len(chosen)), [len(rows) for rows in chosen])
    both = concatenate([pool_templates(kept, template, how), probes])
    scores = score_all(both, np.arange(len(chosen)), np.arange(len(chosen), len(both)), score)
    ordered = sort_scores(scores.ravel(), (np.arange(len(chosen))[:, None] == owner[None, :]).ravel())
    return [ordered.tar_at_far(target).tar for target in TARGETS]
