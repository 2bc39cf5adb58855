"""Peak of private memory, for eval/speed.py: what a process needs beyond its inputs and the files that it maps.

Measured twice. glibc raises its threshold for memory that it gives back at once to the largest piece that was freed, up
to 32 MB: from then on it keeps freed blocks for later, more of them the longer threads work side by side. With the
threshold held at 1 MB the figure is what is in use; with glibc's own it is what a user sees in ``top``. A smaller N is
run up to ten times, so that it meets as many ways in which the threads' blocks can fall together as the largest does.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from faceunc.embeddings import Embeddings

Opened = Callable[[Path], Callable[[], object]]  # a file of embeddings, with what comes beside it -> what is measured


MOST_TIMES = 10
THRESHOLD = "MALLOC_MMAP_THRESHOLD_"
HELD = {"": "1048576", ", as glibc keeps it": None}  # name -> its threshold in bytes; None: its own


def peak_memory(
    make: Callable[[int], Embeddings], works: Mapping[str, Opened], sizes: Sequence[int]
) -> dict[str, dict[str, float]]:
    """MB by work ("peak memory...") and number of stored embeddings, of which ``make`` makes so many; each in a process
    of its own."""
    peaks: dict[str, dict[str, float]] = {f"{name}{kind}, MB": {} for name in works for kind in HELD}
    with tempfile.TemporaryDirectory() as folder:
        make(2_000).save(Path(folder) / "small.safetensors")
        for size in sizes:
            make(size).save(Path(folder) / "all.safetensors")
            times = min(MOST_TIMES, max(sizes) // size)
            for name, work in works.items():
                for kind, threshold in HELD.items():
                    with allocator(threshold), multiprocessing.get_context("spawn").Pool(1) as pool:
                        peaks[f"{name}{kind}, MB"][str(size)] = found = pool.apply(
                            _watched, (Path(folder), work, times)
                        )
                    print(f"  {name}{kind}, N = {size}: {found:.3g} MB", file=sys.stderr, flush=True)
    return peaks


@contextmanager
def allocator(threshold: str | None) -> Iterator[None]:
    """Processes that start inside have this threshold."""
    before = os.environ.pop(THRESHOLD, None)
    if threshold is not None:
        os.environ[THRESHOLD] = threshold
    try:
        yield
    finally:
        os.environ.pop(THRESHOLD, None)
        if before is not None:
            os.environ[THRESHOLD] = before


def _watched(folder: Path, work: Opened, times: int) -> float:
    """A small call first loads and compiles everything."""
    work(folder / "small.safetensors")()
    run = work(folder / "all.safetensors")

    def repeat() -> None:
        for _ in range(times):
            run()

    return peak_while(repeat) / 2**20


def peak_while(work: Callable[[], object]) -> int:
    """Bytes of private memory at its peak during the call, beyond those before; looked at every 5 ms."""
    before = private_memory()
    seen, ended = [before], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            seen.append(private_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        ended.set()
        watcher.join()
    return max(seen) - before


def private_memory(kind: str = "RssAnon") -> int:
    """Bytes of this process that are no pages of files: what a memory map cannot give back ("RssFile": those pages)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(kind))
