"""Batches side by side: order, threads, how much is taken ahead, and what an error leaves."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from faceunc.images.detect_workers import MOST_WORKERS, in_order, torch_workers


def test_order_and_threads() -> None:
    before = torch.get_num_threads()
    assert before > 1  # conftest's
    seen = list(in_order(lambda number: (number, torch.get_num_threads(), threading.get_ident()), range(20)))
    assert [number for number, _, _ in seen] == list(range(20))
    assert {threads for _, threads, _ in seen} == {max(1, before // min(before, MOST_WORKERS))}
    assert threading.get_ident() not in {thread for _, _, thread in seen}
    assert torch.get_num_threads() == before
    late: list[int] = []
    thread = threading.Thread(target=lambda: late.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert late == [before]


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
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert set(in_order(lambda _: threading.get_ident(), range(5))) == {threading.get_ident()}
    finally:
        torch.set_num_threads(before)


def test_errors_reach_the_caller() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    results = in_order(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert torch.get_num_threads() > 1
