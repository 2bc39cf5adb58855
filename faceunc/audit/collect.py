"""What an audit looks at: photographs embedded (resumable), who is on them, and degraded versions of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.embedder import Embedder
from faceunc.embeddings import Embeddings
from faceunc.errors import InputError
from faceunc.extract import extract
from faceunc.images.degrade import Degradation, degrade, draw_degradation
from faceunc.images.photos import find_photos
from faceunc.photo_batches import Failure, Quality
from faceunc.progress import bar

DEGRADED = 1000  # most photographs that are degraded
_MOST_GROUPS = 8
_BATCH = 64

Chips = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True)
class Degraded:
    """Degraded versions of photographs: what was done to each, and its sigma; ``photos`` are the names."""

    photos: list[str]
    how: list[Degradation]
    sigma: NDArray[np.float32]


@dataclass(frozen=True)
class Audit:
    """Everything that a report is made from, N photographs that could be embedded.

    Attributes:
        embeddings: of all of them. quality: simple facts of each.
        group: the set that each belongs to, for distributions side by side. person: the folder that each lies in, below
            the folder that was given; "" for a photograph that lies in none.
        failures: photographs that could not be embedded. failed_person: the folder that each of these lies in.
        degraded: where it was asked for.
    """

    embeddings: Embeddings
    quality: list[Quality]
    group: list[str]
    person: list[str]
    failures: list[Failure]
    failed_person: list[str]
    degraded: Degraded | None = None

    @property
    def photos(self) -> list[str]:
        """Names (paths) of the photographs."""
        return list(self.embeddings.ids)


def collect(
    embedder: Embedder,
    inputs: Sequence[str | Path],
    work: Path,
    degrade_seed: int | None = None,
    show: bool | None = None,
) -> Audit:
    """Embed all photographs of ``inputs`` into the folder ``work``, as ``faceunc embed`` does: what is there, stays.

    Args:
        inputs: files, folders (a sub-folder is a person) and patterns.
        degrade_seed: also embed degraded versions of up to 1,000 of the photographs, drawn from this seed.

    Raises:
        InputError: nothing to embed, or not one photograph could be used. The rest: see :func:`extract`.
    """
    photos = find_photos(inputs)
    whole = extract(embedder, photos, work, show=show)
    wanted = {str(photo) for photo in photos}
    rows = [row for row, photo in enumerate(whole.embeddings.ids) if photo in wanted]
    failures = [failure for failure in whole.failures if failure.photo in wanted]
    if not rows:
        first = f", first: {failures[0].message}" if failures else ""
        raise InputError(f"none of {len(photos)} photographs could be embedded: there is nothing to report{first}")
    names = [whole.embeddings.ids[row] for row in rows]
    group, person = place(names, inputs)
    failed_person = place([failure.photo for failure in failures], inputs)[1]
    degraded = None if degrade_seed is None else _degraded(embedder, names, degrade_seed, show)
    quality = [whole.quality[row] for row in rows]
    return Audit(whole.embeddings[rows], quality, group, person, failures, failed_person, degraded)


def place(photos: Sequence[str], inputs: Sequence[str | Path]) -> tuple[list[str], list[str]]:
    """(group, person) of every photograph.

    A group is a folder that was given, or, where only one was and it has up to eight sub-folders, one of these. The
    person is the path from that folder to the one that the photograph lies in; of files and patterns the name of the
    folder that the file lies in.
    """
    folders = [Path(text) for text in map(str, inputs) if Path(text).is_dir()]
    homes = [next((home for home in folders if Path(photo).is_relative_to(home)), None) for photo in photos]
    group = ["files" if home is None else str(home) for home in homes]
    below = [
        Path(Path(photo).parent.name) if home is None else Path(photo).relative_to(home).parent
        for photo, home in zip(photos, homes, strict=True)
    ]
    tops = ["" if home is None else "/".join(part.parts[:1]) for home, part in zip(homes, below, strict=True)]
    if len(folders) == 1 and len(set(tops)) <= _MOST_GROUPS:
        group = [top or name for top, name in zip(tops, group, strict=True)]
    return group, ["" if part == Path() else part.as_posix() for part in below]


def chips_of(embedder: Embedder, photos: Sequence[str]) -> Chips:
    """Aligned chips of some photographs by name, found anew; one that is gone in the meantime is left out."""
    found: Chips = {}
    for batch in embedder.batches([Path(photo) for photo in photos]):
        found.update(zip(batch.embeddings.ids, batch.chips, strict=True))
    return found


def _degraded(embedder: Embedder, photos: Sequence[str], seed: int, show: bool | None) -> Degraded:
    """One degraded version, from the standard mix, of up to ``DEGRADED`` photographs at even distances."""
    rows = np.unique(np.linspace(0, len(photos) - 1, min(DEGRADED, len(photos))).round().astype(int))
    chosen = [photos[row] for row in rows]
    names, how, sigma = [], [], []
    with bar("degrade", len(chosen), show=show) as progress:
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH]
            chips = chips_of(embedder, part)
            done = {name: draw_degradation(seed, name) for name in chips}
            if chips:
                worse = np.stack([degrade(chip, done[name]) for name, chip in chips.items()])
                sigma.append(embedder.embed_chips(worse, list(chips)).sigma)
            names += list(done)
            how += list(done.values())
            progress.update(len(part))
    return Degraded(names, how, np.concatenate(sigma) if sigma else np.empty(0, np.float32))
