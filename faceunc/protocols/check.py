"""What is in a folder that should hold a protocol: files, counts against the published ones, duplicates, bad images."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from faceunc.errors import InputError
from faceunc.images.photos import identity_folder
from faceunc.images.read import unpack_images
from faceunc.protocols.cfp import read_cfp
from faceunc.protocols.findings import (
    GOOD,
    NOTE,
    PROBLEM,
    Finding,
    Findings,
    expected_count,
    image_findings,
    pair_findings,
    template_findings,
)
from faceunc.protocols.ijba import ijba_splits, read_ijba_split
from faceunc.protocols.ijbc import PUBLISHED, counts, read_ijb
from faceunc.protocols.insightface_bin import read_bin
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.make_ijb import read_manifest
from faceunc.protocols.template_set import TemplateProtocol
from faceunc.protocols.ytf import read_ytf, video_frames

BIN_PAIRS = {"cfp_ff": 7000, "cfp_fp": 7000, "vgg2_fp": 5000}
BIN_PAIRS |= dict.fromkeys(("lfw", "agedb_30", "calfw", "cplfw"), 6000)
LFW_SIZE = (13_233, 5_749)  # photographs, people
PAIRS = {
    "pairs.txt": ("LFW View 2", 6000),
    "pairsDevTrain.txt": ("LFW View 1, training part", 2200),
    "pairsDevTest.txt": ("LFW View 1, test part", 1000),
    "xqlfw_pairs.txt": ("XQLFW", 6000),
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
        _lfw(root, images or root, lambda base, names: image_findings(images or base, names, read_images, show)),
        *(look(root, lambda base, names: image_findings(images or base, names, read_images, show)) for look in looks),
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
    yield from expected_count("pairs", len(pairs), BIN_PAIRS.get(root.stem))
    if pairs.same.all() or not pairs.same.any():
        text = f"{int(pairs.same.sum())} genuine of {len(pairs)} pairs"
        yield Finding(PROBLEM, text, "nothing can be measured with one kind")
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
            yield from pair_findings(what, pairs, published)
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
            yield from expected_count(what, value, published)


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
        yield from pair_findings(f"CFP-{kind}", pairs, 7000)
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
    yield from pair_findings("YTF", pairs, 5000)
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
        yield from template_findings(f"IJB-A split {split}", protocol)
        images |= set(protocol.templates.images)
    if splits and len(splits) < 10:
        yield Finding(NOTE, f"{len(splits)} of IJB-A's 10 splits are here", "comparable figures are means over all ten")
    if splits:
        yield from look(root, sorted(images))


def _ijb(root: Path, look: LookAtImages) -> Findings:
    if root.is_dir() and (root / "making.json").is_file() and not (root / "manifest.json").is_file():
        yield Finding(PROBLEM, f"{root}: unfinished", "run the same 'faceunc protocol make-ijb' again, it goes on")
        return
    for name, published in PUBLISHED.items():
        if not _has(root, name):
            continue
        try:
            protocol = read_ijb(root, name)
        except InputError as error:
            yield Finding(PROBLEM, str(error), "a file of the protocol is missing or damaged")
            continue
        yield from template_findings(name.upper().replace("IJB", "IJB-"), protocol)
        if (root / "manifest.json").is_file():
            yield Finding(NOTE, "made by 'faceunc protocol make-ijb'", "not the published protocol: counts are its own")
            yield from _as_made(root, protocol)
        else:
            for what, value, expected in zip(published._fields, counts(protocol), published, strict=True):
                yield from expected_count(what, value, expected)
        yield from look(root, list(dict.fromkeys(protocol.templates.images)))


def _as_made(root: Path, protocol: TemplateProtocol) -> Findings:
    """Counts against the manifest of ``make-ijb``; its lists and names."""
    try:
        manifest = read_manifest(root)
    except InputError as error:
        yield Finding(PROBLEM, str(error), "the counts cannot be held against it")
        return
    for what, value in zip(counts(protocol)._fields, counts(protocol), strict=True):
        if manifest.get(what) != value:
            text = f"{value:,} {what}, the manifest has {manifest.get(what)}"
            yield Finding(PROBLEM, text, "files were changed after they were made")
    found = {search.name: len(search.gallery) for search in protocol.searches}
    if manifest.get("galleries") != found:
        text = f"galleries {found or 'none'}, the manifest has {manifest.get('galleries')}"
        yield Finding(PROBLEM, text, "without meta/ijbc_1N_*.csv nobody is named, and no head can be held apart")
    if not (root / "meta" / "subjects.csv").is_file():
        yield Finding(PROBLEM, f"{root / 'meta' / 'subjects.csv'}: no such file", "no head can be held apart by name")


def _has(root: Path, name: str) -> bool:
    folders = [root / name for name in (".", "meta", "protocols", "protocol")] if root.is_dir() else []
    return any(path for folder in folders for path in folder.glob(f"{name}_*"))
