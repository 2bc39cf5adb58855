"""Lets one torch function serve tensors (differentiable) and numpy arrays (numpy comes back)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import torch

F = TypeVar("F", bound=Callable[..., Any])


def numpy_in_numpy_out(function: F) -> F:
    """Numpy arguments become tensors for the call; if no argument was a tensor, tensors in the result become numpy."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in given):
            return function(*args, **kwargs)
        result = function(*map(_tensor, args), **{name: _tensor(value) for name, value in kwargs.items()})
        return result if any(isinstance(value, torch.Tensor) for value in given) else _numpy(result)

    return cast(F, wrapper)


def _tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    # torch takes neither read-only memory maps, nor negative strides, nor foreign byte order: those are copied
    plain = value.flags.writeable and value.dtype.isnative and min(value.strides, default=0) >= 0
    return torch.from_numpy(value if plain else value.astype(value.dtype.newbyteorder("="), order="C"))


def _numpy(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_numpy(item) for item in value)
    return value.numpy() if isinstance(value, torch.Tensor) else value
