"""Any ONNX model with an embedding output and a feature output, through onnxruntime (the extra ``faceunc[onnx]``).

A small JSON file describes it: the fields of :class:`BackboneSpec`, and ``model`` (the file, relative to the JSON file;
environment variables are expanded), ``input``, ``embedding_output``, ``feature_output`` (names in the graph).
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput, check_chips, empty_output, output_of
from faceunc.backbones.spec import BackboneSpec, spec_from_dict
from faceunc.errors import InputError
from faceunc.storage import sha256_file

_CHUNK = 16  # chips a call: onnxruntime on the CPU is a fifth slower at 64, whose intermediate maps leave the cache
_GRAPH_FIELDS = ("model", "input", "embedding_output", "feature_output")


class OnnxBackbone:
    """An onnxruntime session as a backbone; float32 on the CPU. See :class:`faceunc.backbones.base.Backbone`.

    Attributes:
        model: the ONNX file. graph: names in it: ``input``, ``embedding_output``, ``feature_output``.
    """

    precision = "float32"

    def __init__(self, session: Any, spec: BackboneSpec, graph: dict[str, str], model: Path) -> None:
        self.spec = spec
        self.model = model
        self.graph = graph
        self._session = session

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Embed chips, uint8 (N, S, S, 3)."""
        check_chips(chips, self.spec)
        if not len(chips):
            return empty_output(self.spec)
        parts = [self._run(chips[start : start + _CHUNK]) for start in range(0, len(chips), _CHUNK)]
        feature_map, raw = (torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True))
        return output_of(feature_map, raw)

    def _run(self, chips: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        ordered = chips if self.spec.colour == "RGB" else chips[..., ::-1]
        pixels = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), np.float32)
        mean = np.array(self.spec.mean, np.float32)[:, None, None]
        outputs = [self.graph["feature_output"], self.graph["embedding_output"]]
        inputs = {self.graph["input"]: (pixels - mean) * np.float32(self.spec.scale)}
        return self._session.run(outputs, inputs)  # type: ignore[no-any-return]


def load_onnx(spec_file: str | Path) -> OnnxBackbone:
    """Load the ONNX backbone that the JSON file ``spec_file`` describes.

    Raises:
        InputError: a missing or malformed spec or model, names or shapes that the graph does not have, a wrong sha256,
            or onnxruntime not installed.
    """
    spec_file = Path(spec_file)
    spec, graph = _read_spec(spec_file)
    model = spec_file.parent / os.path.expandvars(graph["model"])
    if not model.is_file():
        hint = " (set that environment variable)" if "$" in str(model) else ""
        raise InputError(f"{spec_file}: the model {model} does not exist{hint}")
    digest = sha256_file(model)
    if spec.sha256 and spec.sha256 != digest:
        raise InputError(f"{model}: expected sha256 {spec.sha256}, got {digest}")
    backbone = OnnxBackbone(_session(model), replace(spec, sha256=digest), graph, model)
    _check_shapes(backbone, model)
    return backbone


def _read_spec(path: Path) -> tuple[BackboneSpec, dict[str, str]]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: expected a backbone spec (JSON), no such file") from None
    except RecursionError:
        raise InputError(f"{path}: expected a backbone spec in JSON (nested too deeply)") from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, no JSON, or a number of thousands of digits
        raise InputError(f"{path}: expected a backbone spec in JSON ({error})") from None
    if not isinstance(values, dict) or not all(isinstance(values.get(name), str) for name in _GRAPH_FIELDS):
        raise InputError(f"{path}: a backbone spec needs the texts {', '.join(_GRAPH_FIELDS)}")
    graph = {name: values.pop(name) for name in _GRAPH_FIELDS}
    return spec_from_dict(values, path), graph


def _session(model: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise InputError("an ONNX backbone needs onnxruntime: pip install 'faceunc[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own kinds, all directly below Exception
        raise InputError(f"{model}: not a model that onnxruntime can load ({str(error).splitlines()[0]})") from None


def _check_shapes(backbone: OnnxBackbone, model: Path) -> None:
    """One blank chip through the graph: names and shapes must be those of the spec."""
    spec = backbone.spec
    try:
        output = backbone(np.zeros((1, spec.input_size, spec.input_size, 3), np.uint8))
    except Exception as error:  # see _session
        raise InputError(f"{model}: the graph does not fit its spec ({str(error).splitlines()[0]})") from None
    got = tuple(output.feature_map.shape[1:]), int(output.mean.shape[-1])
    if got != (spec.feature_shape, spec.dim):
        raise InputError(f"{model}: the spec says features {spec.feature_shape}, dim {spec.dim}. Got {got} instead.")
