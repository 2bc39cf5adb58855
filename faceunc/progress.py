"""Progress bars for long work: on a terminal, and quiet where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int, unit: str = "it", initial: int = 0, show: bool | None = None) -> Iterator[T]:
    """Yield ``items`` under a bar that counts them. ``show`` None shows the bar when stderr is a terminal."""
    hidden = not sys.stderr.isatty() if show is None else not show
    yield from tqdm(items, desc=what, total=total, unit=unit, initial=initial, disable=hidden, dynamic_ncols=True)


def bar(what: str, total: int, unit: str = "img", initial: int = 0, show: bool | None = None) -> tqdm[None]:
    """A bar that the caller moves with ``update``, for work in batches."""
    hidden = not sys.stderr.isatty() if show is None else not show
    return tqdm(desc=what, total=total, unit=unit, initial=initial, disable=hidden, dynamic_ncols=True)
