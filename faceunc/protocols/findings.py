"""What can be said of any protocol: counts, what is listed more than once, and images that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.errors import ImageError
from faceunc.images.read import read_image
from faceunc.progress import bar
from faceunc.protocols.pairs import PairProtocol
from faceunc.protocols.template_set import TemplateProtocol

GOOD, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the check: ``level`` ("ok", "note", "problem"), what was found, and what that means."""

    level: str
    text: str
    meaning: str = ""


Findings = Iterator[Finding]
_IMAGE_MEANING = {
    "missing": "not downloaded, or another folder: these images fail to enrol",
    "truncated": "a download that broke off: get the file again; the image fails to enrol",
    "not_an_image": "often an error page saved under the image's name; the image fails to enrol",
    "unreadable": "the system refuses to read the file (permissions, disk)",
}


def pair_findings(what: str, pairs: PairProtocol, published: int) -> Findings:
    """Counts of a pair protocol, and pairs that are listed again or compare an image with itself."""
    facts = f"{len(pairs)} pairs ({pairs.same.sum()} genuine), {pairs.num_folds} fold(s), {len(pairs.images)} images"
    yield Finding(GOOD, f"{what}: {facts}")
    yield from expected_count("pairs", len(pairs), published)
    yield from _one_class(pairs.same)
    sides = [tuple(sorted(pair)) for pair in zip(pairs.first, pairs.second, strict=True)]
    yield from _duplicates("pairs", sides)
    itself = sum(a == b for a, b in sides)
    if itself:
        yield Finding(PROBLEM, f"{itself} pairs compare an image with itself", "they are always right: drop them")


def template_findings(what: str, protocol: TemplateProtocol) -> Findings:
    """Counts of a template protocol, galleries, failed detections, and what is listed more than once."""
    templates, pairs = protocol.templates, protocol.pairs
    media = len(np.unique(np.stack([templates.template, templates.media]), axis=1).T)
    facts = f"{len(templates.images)} images in {media} media of {len(templates)} templates"
    yield Finding(GOOD, f"{what}: {facts}; {len(pairs)} pairs, {int(pairs.same.sum())} genuine")
    yield from _one_class(pairs.same)
    for search in protocol.searches:
        yield Finding(GOOD, f"{what}: gallery {search.name} of {len(search.gallery)}, {len(search.probe)} probes")
    owner = templates.template_ids[templates.template].tolist()
    rows = [f"{image} in template {number}" for image, number in zip(templates.images, owner, strict=True)]
    yield from _duplicates("images inside one template", rows)
    yield from _template_pairs(protocol)
    if templates.score is not None:
        failed = int((templates.score <= 0).sum())
        if failed:
            yield Finding(NOTE, f"{failed} images with a detector score of 0", "failed detections: they fail to enrol")


def _template_pairs(protocol: TemplateProtocol) -> Findings:
    """Comparisons that are listed again, in either order, and those of a template with itself."""
    ids, pairs = protocol.templates.template_ids, protocol.pairs
    low, high = np.minimum(pairs.first, pairs.second), np.maximum(pairs.first, pairs.second)
    distinct, times = np.unique(low * len(ids) + high, return_counts=True)
    repeated = np.flatnonzero(times > 1)
    if len(repeated):
        a, b = (int(ids[place]) for place in divmod(int(distinct[repeated[0]]), len(ids)))
        first = f"first templates {a} and {b} ({times[repeated[0]]} times)"
        yield Finding(NOTE, f"{len(repeated)} pairs are listed more than once, {first}", "they count with their number")
    itself = np.flatnonzero(low == high)
    if len(itself):
        text = f"{len(itself)} pairs compare a template with itself, first template {ids[low[itself[0]]]}"
        yield Finding(PROBLEM, text, "they are always right: drop them")


def _one_class(same: NDArray[np.bool_]) -> Findings:
    if same.all() or not same.any():
        yield Finding(
            PROBLEM, f"{int(same.sum())} genuine of {len(same)} pairs", "nothing can be measured with one kind"
        )


def _duplicates(what: str, items: Iterable[object]) -> Findings:
    repeated = [(item, times) for item, times in Counter(items).items() if times > 1]
    if repeated:
        first, times = repeated[0]
        text = f"{len(repeated)} {what} are listed more than once, first {first} ({times} times)"
        yield Finding(NOTE, text, "they count with their number; two boxes in one image are no mistake")


def expected_count(what: str, value: int, published: int | None) -> Findings:
    """Whether a count is the published one; nothing where none was published."""
    if published is None:
        return
    if value == published:
        yield Finding(GOOD, f"{value:,} {what}, as published")
    else:
        yield Finding(PROBLEM, f"{value:,} {what}, published: {published:,}", "figures are not comparable with others'")


def image_findings(root: Path, names: Sequence[str], read: bool, show: bool | None) -> Findings:
    """How many images are there, and every kind of failure with its first example."""
    kinds: Counter[str] = Counter()
    examples: dict[str, str] = {}

    def failure(name: str) -> tuple[str, str] | None:
        try:
            if read:
                read_image(root / name)
            elif not (root / name).is_file():
                return "missing", f"{root / name}: no such file"
        except ImageError as error:
            return error.kind, str(error)
        return None

    with ThreadPoolExecutor() as pool, bar("images", len(names), show=show) as progress:
        for found in pool.map(failure, names):
            progress.update(1)
            if found:
                kinds[found[0]] += 1
                examples.setdefault(*found)
    good = len(names) - sum(kinds.values())
    yield Finding(GOOD if good else NOTE, f"{good} of {len(names)} images {'can be read' if read else 'are there'}")
    for kind, count in kinds.most_common():
        meaning = _IMAGE_MEANING.get(kind, "the image cannot be used: it fails to enrol")
        yield Finding(PROBLEM, f"{count} images {kind.replace('_', ' ')}, first {examples[kind]}", meaning)
