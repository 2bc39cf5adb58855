"""Door checks that the metrics beyond 1:1 verification share: columns of numbers, classes, ranges."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def vectors(**named: ArrayLike) -> tuple[Floats, ...]:
    """The named arrays as float64, in the order given: each (n,) with n >= 1, of one length, finite.

    Raises:
        ValueError: otherwise, naming the array.
    """
    found = {name: np.asarray(values, dtype=np.float64) for name, values in named.items()}
    shapes = [values.shape for values in found.values()]
    if any(len(shape) != 1 or shape != shapes[0] or shape == (0,) for shape in shapes):
        wanted = "(n,), n >= 1" + (", all of one length" if len(found) > 1 else "")
        raise ValueError(f"{_listed(found)} must be {wanted}. Got {_listed(map(str, shapes))} instead.")
    for name, values in found.items():
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise ValueError(f"{name} must be finite. Got {wrong} NaN or infinite value(s) instead.")
    return tuple(found.values())


def binary(name: str, values: ArrayLike, length: int) -> Bools:
    """Booleans, or numbers that are all 0 or 1, as bool (length,). Raises ValueError for anything else."""
    found = np.asarray(values)
    if found.shape != (length,):
        raise ValueError(f"{name} must be ({length},). Got {found.shape} instead.")
    if found.dtype != np.bool_ and not np.isin(found, (0, 1)).all():
        raise ValueError(f"{name} must be boolean, or 0 and 1. Got other values ({found.dtype}) instead.")
    return found.astype(bool)


def two_classes(name: str, values: ArrayLike, length: int) -> Bools:
    """As :func:`binary`, and both classes must be there. Raises ValueError otherwise."""
    found = binary(name, values, length)
    if found.all() or not found.any():
        raise ValueError(f"{name} must hold both classes. Got {int(found.sum())} true of {length} instead.")
    return found


def between(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low <= value <= high (a NaN is refused)."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be in [{low:g}, {high:g}]. Got {value} instead.")


def inside(name: str, value: float, low: float, high: float) -> None:
    """Raise ValueError unless low < value < high (a NaN is refused)."""
    if not low < value < high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}, ends left out. Got {value} instead.")


def _listed(names: Iterable[str]) -> str:
    """Words joined by commas and "and"."""
    words = list(names)
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
