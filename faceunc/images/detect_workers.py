"""Threads that each run whole batches through torch, one core a thread.

Small networks on small batches gain little from two threads inside of every operation: they wait for each other many
times a batch. Whole batches side by side wait for nothing, and what one thread does outside of torch (cutting out
faces, measuring) overlaps with the other's networks: torch, OpenCV and the decoders of photographs release Python's
lock.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import TypeVar

import torch

MOST_WORKERS = 4  # more wait for Python's lock, and each holds a batch in memory
Given = TypeVar("Given")
Made = TypeVar("Made")


@contextmanager
def torch_workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """A pool whose threads share the torch threads of the calling thread, and the number of its workers."""
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS)
    started = threading.Barrier(workers + 1)

    def start() -> None:
        torch.get_num_threads()  # torch gives a new thread its number at the first call, over what was set before
        torch.set_num_threads(threads // workers)  # counts for this thread, and for those that start later
        with suppress(threading.BrokenBarrierError):  # the caller gave up
            started.wait()

    pool = ThreadPoolExecutor(workers, initializer=start)
    try:
        try:
            for _ in range(workers):
                pool.submit(int)
            started.wait()
        except BaseException:  # no thread to be had, or interrupted: those that have started must not wait for ever
            started.abort()
            raise
        torch.set_num_threads(threads)  # threads that start later are not ours
        yield pool, workers
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # workers may have had pools of their own


def in_order(function: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """``map(function, items)`` in :func:`torch_workers`, results in order.

    At most one item more than there are workers is taken from ``items`` before its result is asked for. A single item,
    or a caller with one torch thread, needs no worker: the work is done in the caller's thread.
    """
    todo = iter(items)
    first = list(islice(todo, 2))
    todo = chain(first, todo)
    if len(first) < 2 or torch.get_num_threads() == 1:
        yield from map(function, todo)
        return
    with torch_workers() as (pool, workers):
        ahead: deque[Future[Made]] = deque(pool.submit(function, item) for item in islice(todo, workers + 1))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(pool.submit(function, item) for item in islice(todo, 1))
