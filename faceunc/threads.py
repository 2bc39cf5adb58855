"""Torch's number of threads, thread by thread, and whole batches side by side on them.

What torch does (measured with 2.14 on OpenMP, tests/test_threads.py): every thread has a number of its own, which it
takes over at its first use of torch from the process's default and keeps. ``torch.set_num_threads`` changes the number
of the calling thread and that default; no call changes one without the other, and only a thread that has not used torch
yet shows the default. :func:`set_threads_here` therefore puts the default back through a thread that ends at once.

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
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from faceunc.backbones.base import Backbone

MOST_WORKERS = 4  # more wait for Python's lock, and each holds a batch in memory
Given = TypeVar("Given")
Made = TypeVar("Made")
_SETTING = threading.Lock()  # held while the process's default is not what it should be
_HERE = threading.local()


def set_threads_here(number: int) -> None:
    """Set the calling thread's number of torch threads, and nobody else's.

    For the fraction of a millisecond that this takes the process's default is ``number``: a thread that uses torch for
    the first time just then, and not through this module, keeps it.
    """
    with _SETTING:
        torch.get_num_threads()  # a first use after the call below would take the default over it
        default = _in_new_thread(torch.get_num_threads)
        try:
            torch.set_num_threads(number)
        finally:
            _in_new_thread(lambda: torch.set_num_threads(default))


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's operations of the calling thread inside: small matrices take longer on two, and round
    differently.

    So a head is the same function of its seed whatever the number of threads that torch was given. Threads that start
    inside have the process's default.
    """
    before = torch.get_num_threads()
    set_threads_here(1)
    try:
        yield
    finally:
        set_threads_here(before)


@contextmanager
def torch_workers() -> Iterator[tuple[list[ThreadPoolExecutor], int]]:
    """Pools whose threads share the torch threads of the calling thread, and the number of these workers.

    One pool of equal workers; or, where the threads do not divide (five are shared by four workers as 2, 1, 1, 1), a
    pool for each worker: what is given to the pools in turn has as many threads in every run, and rounds alike.
    """
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS)
    share, rest = divmod(threads, workers)
    sizes = [(1, share + (number < rest)) for number in range(workers)] if rest else [(workers, share)]
    with ExitStack() as running:
        pools = []
        for size, number in sizes:
            pools.append(ThreadPoolExecutor(size, initializer=_become_worker, initargs=(number,)))
            running.callback(pools[-1].shutdown, cancel_futures=True)
        yield pools, workers


def _become_worker(threads: int) -> None:
    _HERE.is_worker = True
    set_threads_here(threads)


def in_order(function: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """``map(function, items)`` in :func:`torch_workers`, results in order.

    At most one item more than there are workers is taken from ``items`` before its result is asked for. A single item,
    a caller with one torch thread, or one that is such a worker itself, needs no worker: the work is done in the
    caller's thread. Calls from several threads do not disturb each other; each has workers of its own.
    """
    todo = iter(items)
    first = list(islice(todo, 2))
    one = len(first) < 2
    todo = chain(iter(first), todo)
    del first  # the iterator lets go of both items once they are taken
    if one or torch.get_num_threads() == 1 or getattr(_HERE, "is_worker", False):
        yield from map(function, todo)
        return
    with torch_workers() as (pools, workers):
        submitted = (pool.submit(function, item) for pool, item in zip(cycle(pools), todo, strict=False))
        ahead: deque[Future[Made]] = deque(islice(submitted, workers + 1))
        while ahead:
            yield ahead.popleft().result()
            ahead.extend(islice(submitted, 1))


def turns(backbone: Backbone) -> AbstractContextManager[object]:
    """What to hold around every call of ``backbone`` from :func:`in_order`; ask once, and use it for all calls.

    A lock for a backbone with threads of its own (``own_threads``; without that mark, whatever is no TorchBackbone):
    it takes one batch at a time, with all of them. Nothing for one that works in the caller's torch threads: a class of
    your own that computes by torch should say ``own_threads = False``, or it works one batch at a time on one thread.
    """
    from faceunc.backbones.base import TorchBackbone

    own_threads = getattr(backbone, "own_threads", not isinstance(backbone, TorchBackbone))
    return threading.Lock() if own_threads else nullcontext()


def _in_new_thread(function: Callable[[], Made]) -> Made:
    made: list[Made] = []
    thread = threading.Thread(target=lambda: made.append(function()))
    thread.start()
    thread.join()
    return made[0]
