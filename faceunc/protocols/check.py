"""What is in a folder that should hold a protocol: files, counts against the published ones, duplicates, bad images."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceunc.errors import ImageError, InputError
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image, unpack_images
from faceunc.progress import bar
from faceunc.protocols.cfp import read_cfp
from faceunc.protocols.ijba import ijba_splits, read_ijba_split
from faceunc.protocols.ijbc import PUBLISHED, counts, read_ijb
from faceunc.protocols.insightface_bin import read_bin
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.protocols.template_set import TemplateProtocol
from faceunc.protocols.ytf import read_ytf, video_frames

GOOD, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the check: ``level`` ("ok", "note", "problem"), what was found, and what that means."""

    level: str
    text: str
    meaning: str = ""


Findings = Iterator[Finding]
BIN_PAIRS = {"cfp_ff": 7000, "cfp_fp": 7000, "vgg2_fp": 5000}
BIN_PAIRS |= dict.fromkeys(("lfw", "agedb_30", "calfw", "cplfw"), 6000)
LFW_SIZE = (13_233, 5_749)  # photographs, people
PAIRS = {
    "pairs.txt": ("LFW View 2", 6000),
    "pairsDevTrain.txt": ("LFW View 1, training part", 2200),
    "pairsDevTest.txt": ("LFW View 1, test part", 1000),
    "xqlfw_pairs.txt": ("XQLFW", 6000),
}
_IMAGE_MEANING = {
    "missing": "not downloaded, or another folder: these images fail to enrol",
    "truncated": "a download that broke off: get the file again; the image fails to enrol",
    "not_an_image": "often an error page saved under the image's name; the image fails to enrol",
    "unreadable": "the system refuses to read the file (permissions, disk)",
}


def check_protocol(
    root: Path, images: Path | None = None, read_images: bool = True, show: bool | None = None
) -> Findings:
    """Look for every protocol that is known in ``root`` (a folder, or a ``.bin`` file) and check what is there.

    MegaFace's lists are not covered: a folder that holds nothing else is refused as unknown.

    Args:
        images: folder that the image paths are relative to, where it is not the protocol's.
        read_images: decode every image of the protocol; False only looks whether the files exist.

    Raises:
        InputError: no such path, or nothing in it that belongs to a known protocol.
    """
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    found = False
    looks = (_bin, _cfp, _ytf, _ijba, _ijb)
    findings = itertools.chain(
        _lfw(root, images or root, lambda base, names: _images(images or base, names, read_images, show)),
        *(look(root, lambda base, names: _images(images or base, names, read_images, show)) for look in looks),
    )
    for finding in findings:
        found = True
        yield finding
    if not found:
        known = "pairs.txt, Protocol/, splits.txt, split1/, meta/ijbc_*.txt, ijbc_1N_*.csv, *.bin"
        raise InputError(f"{root}: nothing of a known protocol here (looked for {known})")


LookAtImages = Callable[[Path, Sequence[str]], Findings]


def _bin(root: Path, look: LookAtImages) -> Findings:
    for path in [root] if root.is_file() else sorted(root.glob("*.bin")):
        yield from _bin_file(path, look)


def _bin_file(root: Path, look: LookAtImages) -> Findings:
    try:
        protocol = read_bin(root)
    except InputError as error:
        yield Finding(PROBLEM, str(error), "foreign, damaged, or made to do harm: do not unpickle it")
        return
    pairs = protocol.pairs
    yield Finding(GOOD, f"{root.name}: {len(pairs)} pairs, {pairs.same.sum()} genuine, read without running anything")
    yield from _expected("pairs", len(pairs), BIN_PAIRS.get(root.stem))
    with tempfile.TemporaryDirectory() as folder:
        names = unpack_images(protocol.images, Path(folder), False)
        yield from look(Path(folder), [str(Path(folder) / name) for name in names])


def _lfw(root: Path, images: Path, look: LookAtImages) -> Findings:
    for name, (what, published) in PAIRS.items():
        if (root / name).is_file():
            try:
                pairs = read_pairs(root / name)
            except InputError as error:
                yield Finding(PROBLEM, str(error), "the pair file is damaged: get it again")
                continue
            yield from _pairs(what, pairs, published)
            yield from look(root, pairs.images)
    if (root / "pairs.txt").is_file():
        try:
            photos = identity_folder(images)
        except InputError as error:
            yield Finding(PROBLEM, str(error), "LFW's photographs are not where they should be")
            return
        for what, value, published in zip(
            ("photographs", "people"), (len(photos), len(set(photos.identities))), LFW_SIZE, strict=True
        ):
            yield from _expected(what, value, published)


def _cfp(root: Path, look: LookAtImages) -> Findings:
    if not (root / "Protocol").is_dir():
        return
    images: set[str] = set()
    for kind in ("FF", "FP"):
        try:
            pairs = read_cfp(root, kind)
        except InputError as error:
            yield Finding(PROBLEM, str(error), "the archive was not unpacked completely")
            continue
        yield from _pairs(f"CFP-{kind}", pairs, 7000)
        images |= set(pairs.images)
    yield from look(root, sorted(images))


def _ytf(root: Path, look: LookAtImages) -> Findings:
    splits = root / "splits.txt"
    if not splits.is_file():
        return
    try:
        pairs = read_ytf(splits)
    except InputError as error:
        yield Finding(PROBLEM, str(error), "splits.txt is damaged: get it again")
        return
    yield from _pairs("YTF", pairs, 5000)
    bases = [path for path in (root, root / "frame_images_DB", root / "aligned_images_DB") if path.is_dir()]
    base = max(bases, key=lambda path: sum((path / video).is_dir() for video in pairs.images))
    frames = {video: video_frames(base, video, None) for video in pairs.images}
    empty = [video for video, names in frames.items() if not names]
    if empty:
        text = f"{len(empty)} of {len(frames)} videos have no frames, first {empty[0]}"
        yield Finding(PROBLEM, text, "they fail to enrol")
    yield from look(base, [name for names in frames.values() for name in names])


def _ijba(root: Path, look: LookAtImages) -> Findings:
    splits = ijba_splits(root) if root.is_dir() else []
    images: set[str] = set()
    for split in splits:
        try:
            protocol = read_ijba_split(root, split)
        except InputError as error:
            yield Finding(PROBLEM, str(error), "the protocol file is damaged or incomplete")
            continue
        yield from _templates(f"IJB-A split {split}", protocol)
        images |= set(protocol.templates.images)
    if splits and len(splits) < 10:
        yield Finding(NOTE, f"{len(splits)} of IJB-A's 10 splits are here", "comparable figures are means over all ten")
    if splits:
        yield from look(root, sorted(images))


def _ijb(root: Path, look: LookAtImages) -> Findings:
    for name, published in PUBLISHED.items():
        if not _has(root, name):
            continue
        try:
            protocol = read_ijb(root, name)
        except InputError as error:
            yield Finding(PROBLEM, str(error), "a file of the protocol is missing or damaged")
            continue
        yield from _templates(name.upper().replace("IJB", "IJB-"), protocol)
        if (root / "manifest.json").is_file():
            yield Finding(NOTE, "made by 'faceunc protocol make-ijb'", "not the published protocol: counts are its own")
        else:
            for what, value, expected in zip(published._fields, counts(protocol), published, strict=True):
                yield from _expected(what, value, expected)
        yield from look(root, list(dict.fromkeys(protocol.templates.images)))


def _has(root: Path, name: str) -> bool:
    folders = [root / name for name in (".", "meta", "protocols", "protocol")] if root.is_dir() else []
    return any(path for folder in folders for path in folder.glob(f"{name}_*"))


def _pairs(what: str, pairs: PairProtocol, published: int) -> Findings:
    facts = f"{len(pairs)} pairs ({pairs.same.sum()} genuine), {pairs.num_folds} fold(s), {len(pairs.images)} images"
    yield Finding(GOOD, f"{what}: {facts}")
    yield from _expected("pairs", len(pairs), published)
    sides = [tuple(sorted(pair)) for pair in zip(pairs.first, pairs.second, strict=True)]
    yield from _duplicates("pairs", sides)
    itself = sum(a == b for a, b in sides)
    if itself:
        yield Finding(PROBLEM, f"{itself} pairs compare an image with itself", "they are always right: drop them")


def _templates(what: str, protocol: TemplateProtocol) -> Findings:
    templates, pairs = protocol.templates, protocol.pairs
    media = len(np.unique(np.stack([templates.template, templates.media]), axis=1).T)
    facts = f"{len(templates.images)} images in {media} media of {len(templates)} templates"
    yield Finding(GOOD, f"{what}: {facts}; {len(pairs)} pairs, {int(pairs.same.sum())} genuine")
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


def _duplicates(what: str, items: Iterable[object]) -> Findings:
    repeated = [(item, times) for item, times in Counter(items).items() if times > 1]
    if repeated:
        first, times = repeated[0]
        text = f"{len(repeated)} {what} are listed more than once, first {first} ({times} times)"
        yield Finding(NOTE, text, "they count with their number; two boxes in one image are no mistake")


def _expected(what: str, value: int, published: int | None) -> Findings:
    if published is None:
        return
    if value == published:
        yield Finding(GOOD, f"{value:,} {what}, as published")
    else:
        yield Finding(PROBLEM, f"{value:,} {what}, published: {published:,}", "figures are not comparable with others'")


def _images(root: Path, names: Sequence[str], read: bool, show: bool | None) -> Findings:
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
