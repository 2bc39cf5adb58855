"""Features of every view of a photo set on disk: computed once, resumable, memory-mapped.

A view lies in a folder named after all that its numbers depend on (data, detector, alignment, backbone and its weights,
precision) and holds one ``.npy`` an array, and ``progress.json`` with the number of finished rows.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import ImageError
from faceunc.images.align import align_face
from faceunc.images.landmarks import Landmarks
from faceunc.images.photos import PhotoSet
from faceunc.images.read import read_image
from faceunc.images.views import View, sharpness
from faceunc.progress import bar
from faceunc.storage import atomic_write, output_errors
from faceunc.threads import in_order, turns

_Rows = dict[str, NDArray[np.floating]]
_BATCH = 64
PIXELS_VERSION = "1"  # raise it when alignment or degradations change the pixels of a view


@dataclass(frozen=True)
class Features:
    """One view of a photo set, memory-mapped, rows in the order of the set.

    Attributes:
        mean: float32 (N, D), L2-normalised embedding.
        feature_map: float16 (N, C, h, w).
        norm: float32 (N,), length of the raw embedding.
        sharpness: float32 (N,), variance of the chip's Laplacian.
    """

    mean: NDArray[np.float32]
    feature_map: NDArray[np.float16]
    norm: NDArray[np.float32]
    sharpness: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.mean)


@dataclass(frozen=True)
class FeatureSource:
    """Everything that features depend on: the photographs, their landmarks, the backbone, and where they are kept."""

    photos: PhotoSet
    landmarks: Landmarks
    detector_name: str
    backbone: Backbone
    cache: Path

    def folder(self, view: View) -> Path:
        """Where the features of ``view`` lie."""
        spec = self.backbone.spec
        pixels = repr((spec.colour, spec.mean, spec.scale))
        data = [PIXELS_VERSION, self.photos.sha256, self.detector_name]
        parts = [*data, spec.alignment, pixels, spec.sha256, self.backbone.precision]
        key = blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
        return self.cache / "features" / f"{spec.name}-{key}" / view.name

    def features(self, views: Sequence[View], show: bool | None = None) -> dict[View, Features]:
        """Features of each view, from the cache or computed now; a killed run goes on where it stopped.

        Raises:
            OutputError: when the cache cannot be written.
        """
        writers = {view: _ViewWriter(self.folder(view), len(self.photos), self.backbone.spec) for view in views}
        with ExitStack() as locks:
            # in one order for all processes, so that two of them never wait for each other
            for view in sorted({v for v in views if writers[v].done < len(self.photos)}, key=lambda v: v.name):
                locks.enter_context(writers[view].lock())
            open_views = [view for view in writers if writers[view].done < len(self.photos)]
            if open_views:
                self._compute({view: writers[view] for view in open_views}, show)
        return {view: writer.read() for view, writer in writers.items()}

    def _compute(self, writers: dict[View, _ViewWriter], show: bool | None) -> None:
        """Batches side by side, one a thread from the files to the features: nothing waits for anything but cores."""
        stored = {view: writer.done for view, writer in writers.items()}
        starts = range(min(stored.values()), len(self.photos), _BATCH)
        name = f"embed {len(writers)} view(s), {self.backbone.spec.name}"
        turn = turns(self.backbone)

        def embed(start: int) -> dict[View, _Rows]:
            return self._embed(start, [view for view, done in stored.items() if done <= start], turn)

        with bar(name, len(self.photos), initial=starts.start, show=show) as progress:
            try:
                for start, made in zip(starts, in_order(embed, starts), strict=True):
                    for view, rows in made.items():
                        writers[view].write(start, rows)
                    progress.update(min(_BATCH, len(self.photos) - start))
            finally:
                for writer in writers.values():
                    writer.commit()

    def _embed(self, start: int, views: Sequence[View], turn: AbstractContextManager[object]) -> dict[View, _Rows]:
        """The arrays of one batch of photographs in each view."""
        rows = range(start, min(start + _BATCH, len(self.photos)))
        columns = zip(*(self._views_of(row, views) for row in rows), strict=True)
        made = {view: np.stack(chips) for view, chips in zip(views, columns, strict=True)}
        return {view: _rows_of(chips, self.backbone, turn) for view, chips in made.items()}

    def chips(
        self, views: Sequence[View], batch: int, first: int = 0
    ) -> Iterator[tuple[int, list[list[NDArray[np.uint8]]]]]:
        """(first row, [chip of every view of a row]) batch by batch, made ahead in threads while the caller works."""
        starts = range(first, len(self.photos), batch)
        with ThreadPoolExecutor(2) as pool:

            def submit(start: int) -> list[Future[list[NDArray[np.uint8]]]]:
                rows = range(start, min(start + batch, len(self.photos)))
                return [pool.submit(self._views_of, row, views) for row in rows]

            ahead = [submit(start) for start in starts[:2]]
            for position, start in enumerate(starts):
                current = ahead.pop(0)
                if position + 2 < len(starts):
                    ahead.append(submit(starts[position + 2]))
                yield start, [future.result() for future in current]

    def chip(self, row: int, view: View) -> NDArray[np.uint8]:
        """One photograph in one view: RGB (S, S, 3); grey where it cannot be read."""
        return self._views_of(row, [view])[0]

    def _views_of(self, row: int, views: Sequence[View]) -> list[NDArray[np.uint8]]:
        spec, name = self.backbone.spec, self.photos.ids[row]
        try:
            image = read_image(self.photos.root / name)
            chip = align_face(image, self.landmarks.points[row], spec.template, spec.input_size)
        except ImageError:  # counted as unreadable by the landmarks; its row holds a grey chip and is never trained on
            chip = np.full((spec.input_size, spec.input_size, 3), 127, np.uint8)
        return [view.apply(chip, name) for view in views]


def _rows_of(chips: NDArray[np.uint8], backbone: Backbone, turn: AbstractContextManager[object]) -> _Rows:
    """What is stored of these chips, by the names of :class:`Features`."""
    with turn:
        output = backbone(chips)
    values = {name: getattr(output, name).numpy() for name in ("mean", "feature_map", "norm")}
    return {**values, "sharpness": np.array([sharpness(chip) for chip in chips], np.float32)}


def _reserve(path: Path) -> None:
    """Take the disk space of a mapped file now: a full disk found while writing to the map would kill the process."""
    with path.open("rb+") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


class _ViewWriter:
    """The arrays of one view on disk, and how many rows of them are done."""

    def __init__(self, folder: Path, rows: int, spec: BackboneSpec) -> None:
        self.folder, self.rows = folder, rows
        self.shapes: dict[str, tuple[tuple[int, ...], type[np.floating]]] = {
            "mean": ((rows, spec.dim), np.float32),
            "feature_map": ((rows, *spec.feature_shape), np.float16),
            "norm": ((rows,), np.float32),
            "sharpness": ((rows,), np.float32),
        }
        self.done = self._read_done()
        self._arrays: dict[str, NDArray[np.generic]] = {}

    def _read_done(self) -> int:
        try:
            done = int(json.loads((self.folder / "progress.json").read_text())["done"])
            self.read()
            # whole batches only: a batch cut in two would be computed to other roundings, or a part of it skipped
            return self.rows if done >= self.rows else max(done, 0) // _BATCH * _BATCH
        except (OSError, ValueError, KeyError, TypeError, EOFError):  # EOFError: an empty .npy
            return 0

    def write(self, start: int, rows: _Rows) -> None:
        """Store the arrays of one batch."""
        if not self._arrays:
            self._open()
        stop = start + len(rows["mean"])
        for name, value in rows.items():
            self._arrays[name][start:stop] = value
        self.done = stop
        if self.done == self.rows or (self.done // _BATCH) % 16 == 0:
            self.commit()

    def _open(self) -> None:
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.done:  # else the count of older, damaged arrays would vouch for rows that are not there yet
                (self.folder / "progress.json").unlink(missing_ok=True)
            for name, (shape, dtype) in self.shapes.items():
                path = self.folder / f"{name}.npy"
                if self.done:
                    self._arrays[name] = open_memmap(path, mode="r+")
                else:
                    self._arrays[name] = open_memmap(path, mode="w+", dtype=dtype, shape=shape)
                    _reserve(path)

    def commit(self) -> None:
        """Make the rows that are done so far survive this process; nothing to do when none was written."""
        if not self._arrays:
            return
        for array in self._arrays.values():
            if isinstance(array, np.memmap):
                array.flush()
        atomic_write(self.folder / "progress.json", json.dumps({"done": self.done}).encode())

    def lock(self) -> IO[bytes]:
        """Wait until no other process writes this view; it is ours until the file that is returned is closed."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / ".lock").open("wb")
            fcntl.flock(file, fcntl.LOCK_EX)
        self.done = self._read_done()
        return file

    def read(self) -> Features:
        """Open the view read-only; ValueError when a file does not have the expected shape."""
        arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in self.shapes}
        for name, (shape, dtype) in self.shapes.items():
            if arrays[name].shape != shape or arrays[name].dtype != dtype:
                raise ValueError(f"{self.folder / name}.npy: expected {dtype} {shape}, got {arrays[name].shape}")
        return Features(**arrays)
