"""The engines by name: what runs them, in which precision, and what has to be installed. Imports nothing heavy."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class EngineKind:
    """One way to run a model.

    Attributes:
        name: what ``--engine`` takes. runtime: "torch", "fused", "compile", "onnxruntime" or "openvino".
        precision: "float32" or "bfloat16". summary: what it is, for tables and help.
        modules: what must be importable. extra: the extra of faceunc that installs them.
    """

    name: str
    runtime: str
    precision: str
    summary: str
    modules: tuple[str, ...] = ()
    extra: str = ""

    @property
    def not_installed(self) -> str:
        """Why it cannot be loaded and what installs it, in one line; empty when all modules are there."""
        missing = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"needs {', '.join(missing)}: pip install 'faceunc[{self.extra}]'" if missing else ""

    def not_imported(self, error: ImportError) -> str:
        """Why the import of its runtime failed, in one line: nothing is there, or what is there is broken."""
        return self.not_installed or f"cannot import {self.modules[-1]} ({str(error).partition(chr(10))[0]})"


_ONNX = ("onnx", "onnxscript", "onnxruntime")
_OPENVINO = ("onnx", "onnxscript", "openvino")
_ALL = (
    EngineKind("torch", "torch", "float32", "torch, channels last; the reference"),
    EngineKind("torch-bf16", "torch", "bfloat16", "torch, bfloat16 by autocast"),
    EngineKind("torch-fused", "fused", "float32", "oneDNN's fused convolutions, weights packed once (dlib only)"),
    EngineKind("torch-fused-bf16", "fused", "bfloat16", "the same in bfloat16 (dlib only)"),
    EngineKind("torch-compile", "compile", "float32", "torch.compile: needs a C++ compiler, a minute to start"),
    EngineKind("torch-compile-bf16", "compile", "bfloat16", "the same in bfloat16"),
    EngineKind("onnxruntime", "onnxruntime", "float32", "backbone and head in one ONNX graph", _ONNX, "onnx"),
    EngineKind("openvino", "openvino", "float32", "the same graph by OpenVINO", _OPENVINO, "openvino"),
    EngineKind("openvino-bf16", "openvino", "bfloat16", "the same, backbone in bfloat16", _OPENVINO, "openvino"),
)
ENGINES = {kind.name: kind for kind in _ALL}
REFERENCE = "torch"
