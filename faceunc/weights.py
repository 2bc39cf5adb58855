"""Weights from strangers: a safetensors file of a named format, its size, text and numbers checked before use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faceunc.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_MAX_BYTES = 1_000_000_000


def read_weights(path: Path, form: str, what: str, most: int = _MAX_BYTES) -> tuple[dict[str, str], dict[str, Tensor]]:
    """(metadata, tensors) of a safetensors file.

    Args:
        form: what its ``format`` must be. what: what a user calls such a file, for errors. most: bytes allowed.

    Raises:
        InputError: missing, too large, damaged or foreign file, or values that are not finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise InputError(f"{path}: expected a {what} (.safetensors), no such file")
    if path.stat().st_size > most:
        raise InputError(f"{path}: expected a {what} below {most:,} bytes, got {path.stat().st_size:,}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                raise InputError(f"{path}: expected {form}, got format {metadata.get('format')!r}")
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged or foreign {what} ({str(error).splitlines()[0]})") from None
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise InputError(f"{path}: damaged {what} ({name} has values that are not finite)")
    return metadata, state
