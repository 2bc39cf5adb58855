"""Progress bars for long work: on a terminal, and quiet where nobody looks."""

from __future__ import annotations

import sys
from typing import Never

from tqdm import tqdm


def bar(what: str, total: int, unit: str = "img", initial: int = 0, show: bool | None = None) -> tqdm[Never]:
    """A bar that the caller moves with ``update``. ``show`` None shows it when stderr is a terminal."""
    hidden = not sys.stderr.isatty() if show is None else not show
    return tqdm(desc=what, total=total, unit=unit, initial=initial, disable=hidden, dynamic_ncols=True)
