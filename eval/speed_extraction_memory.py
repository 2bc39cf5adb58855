"""Memory of a long extraction, for ``speed_extraction.py``."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faceunc
from faceunc.extract import extract
from faceunc.photo_batches import Batch, Photo

MARKS = (1_000, 10_000, 100_000)


class Watched(faceunc.Embedder):
    """Notes the process's memory whenever so many photographs have been embedded."""

    def batches(self, photos: Sequence[Photo], batch_size: int = 32) -> Iterator[Batch]:
        """See :class:`faceunc.Embedder`."""
        self.resident: dict[int, float] = {}
        done = 0
        for batch in super().batches(photos, batch_size):
            done += len(batch.embeddings) + len(batch.failures)
            for mark in (*MARKS, len(photos)):
                if done >= mark:
                    self.resident.setdefault(mark, resident_megabytes())
            yield batch


def resident_megabytes() -> float:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 1e6


def memory_growth(photos: Sequence[Path], count: int, aligned: bool) -> dict[str, Any]:
    """Resident megabytes after 1,000, 10,000 ... ``count`` photographs, which are links to ``photos`` in turn; and the
    most while the result was put together."""
    loaded = faceunc.load(aligned=aligned)
    embedder = Watched(loaded.backbone, loaded.head, aligned=aligned)
    with tempfile.TemporaryDirectory() as name:
        links = [Path(name) / f"{number:06d}.jpg" for number in range(count)]
        for number, link in enumerate(links):
            link.symlink_to(photos[number % len(photos)])
        start = time.perf_counter()
        result = extract(embedder, links, Path(name) / "out", show=False)
        seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    rows = {f"RSS after {mark}": value for mark, value in embedder.resident.items()}
    counts = {"aligned": aligned, "photographs": count, "embedded": len(result.embeddings), "images/s": count / seconds}
    return counts | rows | {"largest RSS": most}
