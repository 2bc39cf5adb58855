"""Exported models by onnxruntime (the extra ``faceunc[onnx]``), float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.engines.names import ENGINES
from faceunc.engines.onnx_engine import Array, OnnxEngine, Runner, checked
from faceunc.engines.papers import read_exported, reason_of
from faceunc.engines.parts import BODY_OUTPUTS, HEAD_OUTPUTS
from faceunc.errors import InputError

_CHUNK = 16  # chips a call: their intermediate maps stay in the cache


def open_onnxruntime(name: str, path: Path, threads: int) -> OnnxEngine:
    """Open an exported file.

    Raises:
        InputError: onnxruntime not installed, or a missing, damaged or foreign file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"engine {name} {ENGINES[name].not_imported(error)}") from None
    papers, data = read_exported(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds, all directly below Exception
        raise InputError(f"{path}: not a model that onnxruntime can load ({reason_of(error)})") from None
    return checked(OnnxEngine(name, ENGINES[name].precision, papers, _runner(session)), path)


def _runner(session: Any) -> Runner:
    def run(chips: NDArray[np.uint8], outputs: list[str]) -> list[Array]:
        starts = range(0, len(chips), _CHUNK)
        parts = [session.run(outputs, {"chips": chips[start : start + _CHUNK]}) for start in starts]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    return Runner(
        lambda chips: run(chips, list(BODY_OUTPUTS)),
        lambda chips: run(chips, list(HEAD_OUTPUTS)),
    )
