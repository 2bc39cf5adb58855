"""Torch's number of threads, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch's operations inside: small matrices take longer on two, and round differently.

    So a head is the same function of its seed whatever the number of threads that torch was given.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
