"""Memory of a long extraction: ``python eval/speed_extraction_memory.py LFW --out eval/results --photographs 100000``.

LFW's photographs again and again, as links, through ``faceunc.extract.extract`` into one stored result, with detection
or (``--aligned``) as aligned chips; resident memory is noted after 1,000, 10,000 ... of them. Stored as section
``memory.photographs`` or ``memory.aligned`` of speed.json; ``python eval/speed.py LFW --only memory`` runs both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faceunc
from faceunc.errors import InputError
from faceunc.extract import extract
from faceunc.images.detect import DETECTORS
from faceunc.images.photos import identity_folder
from faceunc.photo_batches import Batch, Photo

MARKS = (1_000, 10_000, 100_000)
COUNT = 100_000
DETECTOR = "mtcnn"


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


def memory_growth(
    photos: Sequence[Path], count: int, aligned: bool, detector: str = DETECTOR, show: bool | None = False
) -> dict[str, Any]:
    """Resident megabytes after 1,000, 10,000 ... ``count`` photographs, which are links to ``photos`` in turn; and the
    most while the result was put together."""
    loaded = faceunc.load(aligned=aligned, detector=detector)
    embedder = Watched(loaded.backbone, loaded.head, aligned=aligned, detector=detector)
    with tempfile.TemporaryDirectory() as name:
        links = [Path(name) / f"{number:06d}.jpg" for number in range(count)]
        for number, link in enumerate(links):
            link.symlink_to(photos[number % len(photos)])
        start = time.perf_counter()
        result = extract(embedder, links, Path(name) / "out", show=show)
        seconds = time.perf_counter() - start
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    rows = {f"RSS after {mark}": value for mark, value in embedder.resident.items()}
    counts = {"aligned": aligned, "photographs": count, "embedded": len(result.embeddings), "images/s": count / seconds}
    return counts | {"detector": "none" if aligned else detector} | rows | {"largest RSS": most}


def measure(
    data: Path, kind: str, count: int = COUNT, detector: str = DETECTOR, show: bool | None = None
) -> dict[str, Any]:
    """``kind`` "aligned" or "photographs", in a process of its own; ``data``: LFW's folder.

    LFW's photographs are square, so that they pass for aligned chips: the arithmetic is the same.
    """
    paths = identity_folder(data).paths
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(memory_growth, (paths, count, kind == "aligned", detector, show))


def main() -> None:
    """Measure one kind, store it."""
    from speed_store import FILE, add

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="LFW")
    parser.add_argument("--out", type=Path, default=Path("eval/results"))
    parser.add_argument("--photographs", type=int, default=COUNT, metavar="N")
    parser.add_argument("--aligned", action="store_true", help="as aligned chips: nothing is detected")
    parser.add_argument("--detector", choices=DETECTORS, default=DETECTOR)
    args = parser.parse_args()
    if args.photographs < 1:
        parser.error(f"--photographs: expected at least 1, got {args.photographs}")
    kind = "aligned" if args.aligned else "photographs"
    figures = measure(args.data, kind, args.photographs, args.detector)
    more = " --aligned" if args.aligned else f" --detector {args.detector}"
    out = os.path.relpath(args.out)
    command = f"python eval/speed_extraction_memory.py LFW --out {out} --photographs {args.photographs}"
    try:
        add(args.out / FILE, f"memory.{kind}", figures, command + more)
    except InputError as error:
        parser.error(str(error))
    for name, value in figures.items():
        print(f"{name:18} {value:.4g}" if isinstance(value, float) else f"{name:18} {value}")


if __name__ == "__main__":
    main()
