"""How a loss of single elements becomes one number."""

from __future__ import annotations

from torch import Tensor

REDUCTIONS = ("mean", "sum", "none")


def check_reduction(reduction: str, allowed: tuple[str, ...] = REDUCTIONS) -> None:
    """Raise ValueError for an unknown name."""
    if reduction not in allowed:
        raise ValueError(f"reduction must be one of {', '.join(allowed)}. Got {reduction!r} instead.")


def reduced(values: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of all elements, or ("none") the values as they are.

    Raises:
        ValueError: unknown reduction.
    """
    check_reduction(reduction)
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()
