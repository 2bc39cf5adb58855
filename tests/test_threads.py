"""Torch's threads, and batches side by side on them: order, numbers, how much is taken ahead, what an error leaves."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput
from faceunc.threads import MOST_WORKERS, in_order, one_thread, set_threads_here, torch_workers, turns


@pytest.fixture(autouse=True)
def numbers_stay() -> Iterator[None]:
    """Whatever a test does, this thread and those that start later keep their number of torch threads."""
    before = torch.get_num_threads()
    assert before > 1  # conftest's
    yield
    after = torch.get_num_threads(), in_thread(torch.get_num_threads)
    torch.set_num_threads(before)
    assert after == (before, before)


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_torch_has_a_number_for_every_thread_and_a_default() -> None:
    """What the module is built on: if torch changes it, this fails first."""
    before = torch.get_num_threads()
    seen = []

    def foreign(asked: threading.Event, told: threading.Event) -> None:
        seen.append(torch.get_num_threads())
        told.set()
        asked.wait(5)
        seen.append(torch.get_num_threads())

    asked, told = threading.Event(), threading.Event()
    thread = threading.Thread(target=foreign, args=(asked, told))
    thread.start()
    told.wait(5)
    torch.set_num_threads(before + 3)
    asked.set()
    thread.join()
    assert seen == [before, before]
    assert in_thread(torch.get_num_threads) == before + 3
    in_thread(lambda: torch.set_num_threads(before))
    assert torch.get_num_threads() == before + 3
    torch.set_num_threads(before)


def test_a_number_is_set_here_only() -> None:
    before = torch.get_num_threads()

    def here() -> int:
        set_threads_here(before + 1)
        return torch.get_num_threads()

    assert in_thread(here) == before + 1
    set_threads_here(before + 2)
    assert (torch.get_num_threads(), in_thread(torch.get_num_threads)) == (before + 2, before)
    set_threads_here(before)


def test_one_thread_is_nobody_elses_and_ends_with_an_error() -> None:
    before = torch.get_num_threads()

    def fail_inside() -> None:
        with one_thread():
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
            assert in_thread(torch.get_num_threads) == before
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail_inside()
    assert torch.get_num_threads() == before


def test_order_and_threads() -> None:
    before = torch.get_num_threads()
    seen = list(in_order(lambda number: (number, torch.get_num_threads(), threading.get_ident()), range(20)))
    assert [number for number, _, _ in seen] == list(range(20))
    assert {threads for _, threads, _ in seen} == {max(1, before // min(before, MOST_WORKERS))}
    assert threading.get_ident() not in {thread for _, _, thread in seen}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("threads", "shares"), [(3, [1] * 3), (5, [2, 1, 1, 1]), (8, [2] * 4), (11, [3, 3, 3, 2])])
def test_all_threads_are_shared_out(threads: int, shares: list[int]) -> None:
    set_threads_here(threads)
    try:
        barrier = threading.Barrier(len(shares))

        def work(_: int) -> tuple[int, int]:
            barrier.wait(5)  # so that no worker takes two
            return threading.get_ident(), torch.get_num_threads()

        seen = dict(in_order(work, range(len(shares))))
        assert sorted(seen.values(), reverse=True) == shares
        assert torch.get_num_threads() == threads
    finally:
        set_threads_here(2)


def test_an_item_has_the_same_share_in_every_run() -> None:
    set_threads_here(6)
    try:
        assert list(in_order(lambda _: torch.get_num_threads(), range(12))) == [2, 2, 1, 1] * 3
    finally:
        set_threads_here(2)


def test_calls_from_several_threads_do_not_disturb_each_other() -> None:
    """Each thread has another number; all start and end workers again and again."""

    def call(threads: int) -> list[int]:
        set_threads_here(threads)
        for _ in range(8):
            assert list(in_order(lambda number: number**2, range(5))) == [0, 1, 4, 9, 16]
        return [torch.get_num_threads(), *in_order(lambda _: torch.get_num_threads(), range(6))]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(call, (2, 4, 12))) == [[2] + [1] * 6, [4] + [1] * 6, [12] + [3] * 6]


def test_a_worker_works_alone() -> None:
    """Even with several torch threads: its share is in use."""
    set_threads_here(2 * MOST_WORKERS)
    try:

        def work(_: int) -> tuple[set[int], int, int]:
            inner = list(in_order(lambda _: (threading.get_ident(), torch.get_num_threads()), range(3)))
            return {thread for thread, _ in inner} ^ {threading.get_ident()}, inner[0][1], torch.get_num_threads()

        assert list(in_order(work, range(9))) == [(set(), 2, 2)] * 9
    finally:
        set_threads_here(2)


def test_few_items_are_taken_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    with torch_workers() as (_, workers):
        pass
    results = in_order(lambda number: -number, items())
    assert next(results) == 0
    assert len(taken) <= workers + 1
    assert list(results) == [-number for number in range(1, 50)]


@pytest.mark.parametrize("count", [0, 1])
def test_little_work_needs_no_worker(count: int) -> None:
    assert list(in_order(lambda _: threading.get_ident(), range(count))) == [threading.get_ident()] * count


def test_one_thread_works_in_the_caller() -> None:
    with one_thread():
        assert set(in_order(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}


def test_errors_reach_the_caller() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = in_order(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)


class Foreign:
    """A backbone that is no torch module of ours."""

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        raise NotImplementedError


class Ours(Foreign):
    own_threads = False


def test_turns_follow_the_threads_of_a_backbone() -> None:
    def at_once(backbone: Any) -> int:
        turn, lock, running, most = turns(backbone), threading.Lock(), 0, 0
        meeting = threading.Barrier(2)

        def work(_: int) -> None:
            nonlocal running, most
            with turn:
                with lock:
                    running += 1
                    most = max(most, running)
                if not getattr(backbone, "own_threads", True):
                    meeting.wait(5)
                with lock:
                    running -= 1

        list(in_order(work, range(6)))
        return most

    assert at_once(Foreign()) == 1
    assert at_once(Ours()) == 2


def test_turns_of_a_torch_backbone_are_free() -> None:
    from faceunc.backbones.registry import load_backbone

    turn = turns(load_backbone("dlib", "float32"))
    with turn, turn:
        pass


def test_what_was_worked_on_is_let_go() -> None:
    class Item:
        pass

    alive: list[weakref.ref[Item]] = []

    def items() -> Iterator[Item]:
        for _ in range(12):
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item

    for number, _ in enumerate(in_order(lambda item: None, items())):
        if number == 8:
            gc.collect()
            assert all(each() is None for each in alive[:6])
