"""Exported models by OpenVINO (the extra ``faceunc[openvino]``), float32, or the backbone in bfloat16.

The graph is cut at the feature map. What lies below runs in the precision that is asked for, as several requests at
once (one a core, each with its own share of the chips: convolutions of one core do not wait for another). The head
stays in float32: its standard deviations are differences of nearly equal numbers, of which bfloat16 leaves little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.engines.names import ENGINES
from faceunc.engines.onnx_engine import Array, OnnxEngine, Runner, checked
from faceunc.engines.papers import read_exported, reason_of
from faceunc.engines.parts import BODY_OUTPUTS, HEAD_OUTPUTS
from faceunc.errors import InputError

HINTS = ("THROUGHPUT", "LATENCY")
_CHUNK = 16  # most chips a request
_TYPES = {"float32": "f32", "bfloat16": "bf16"}


def open_openvino(name: str, path: Path, threads: int, hint: str = "THROUGHPUT") -> OnnxEngine:
    """Open an exported file.

    Args:
        hint: "THROUGHPUT": one request a core; "LATENCY": all cores on one request after another.

    Raises:
        InputError: OpenVINO not installed, an unknown hint, or a missing, damaged or foreign file.
    """
    if hint not in HINTS:
        raise InputError(f"hint must be one of {', '.join(HINTS)}. Got {hint!r} instead.")
    try:
        import openvino
    except ImportError as error:
        raise InputError(f"engine {name} {ENGINES[name].not_imported(error)}") from None
    papers, data = read_exported(path)
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": hint}
    precision = ENGINES[name].precision
    try:
        core = openvino.Core()
        below, above = (core.read_model(part) for part in _parts(data))
        precise = {**settings, "INFERENCE_PRECISION_HINT": "f32"}
        body = core.compile_model(below, "CPU", {**settings, "INFERENCE_PRECISION_HINT": _TYPES[precision]})
        head = core.compile_model(above, "CPU", precise)
        streams = int(body.get_property("NUM_STREAMS"))
        features = _parallel(openvino.AsyncInferQueue(body), streams)
    except Exception as error:  # OpenVINO raises RuntimeError, onnx its own kinds
        raise InputError(f"{path}: not a model that OpenVINO can load ({reason_of(error)})") from None
    engine = OnnxEngine(name, precision, papers, Runner(features, _embed(features, head)))
    return checked(engine, path, 2 * streams)  # two chips in every request


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """The file cut in two: chips -> what the head reads -> what it says."""
    import onnx
    from onnx.utils import Extractor

    extractor = Extractor(onnx.load_model_from_string(data))
    below = extractor.extract_model(["chips"], list(BODY_OUTPUTS))
    above = extractor.extract_model(list(BODY_OUTPUTS), list(HEAD_OUTPUTS))
    return below.SerializeToString(), above.SerializeToString()


def _parallel(queue: Any, streams: int) -> Callable[[NDArray[np.uint8]], Sequence[Array]]:
    """Chips -> [feature map, raw embedding], the requests of one call side by side; calls wait for each other."""
    turn = Lock()

    def keep(request: Any, place: tuple[dict[int, list[Array]], int]) -> None:
        parts, start = place
        parts[start] = [np.array(request.get_tensor(name).data) for name in BODY_OUTPUTS]

    queue.set_callback(keep)

    def run(chips: NDArray[np.uint8]) -> Sequence[Array]:
        size = min(_CHUNK, -(-len(chips) // streams))
        starts = range(0, len(chips), size)
        parts: dict[int, list[Array]] = {}
        with turn:
            for start in starts:
                queue.start_async({"chips": np.ascontiguousarray(chips[start : start + size])}, (parts, start))
            queue.wait_all()
        return [np.concatenate(arrays) for arrays in zip(*(parts[start] for start in starts), strict=True)]

    return run


def _embed(features: Callable[[NDArray[np.uint8]], Sequence[Array]], head: Any) -> Callable[..., Sequence[Array]]:
    turn = Lock()
    wanted = {value.get_any_name() for value in head.inputs}  # a head need not read the feature map

    def run(chips: NDArray[np.uint8]) -> Sequence[Array]:
        read = zip(BODY_OUTPUTS, features(chips), strict=True)
        with turn:
            said = head({name: array for name, array in read if name in wanted})
            return [np.array(said[name]) for name in HEAD_OUTPUTS]

    return run
