"""Torch module -> ONNX graph (the extra ``faceunc[onnx]``), by torch's exporter, without its chatter."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from faceunc.errors import InputError

OPSET = 20


def graph_of(module: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], outputs: Sequence[str]) -> Any:
    """An ``onnx.ModelProto`` of a module, the first axis of all inputs free and one.

    Args:
        module: gives one tensor, or as many as there are names in ``outputs``. inputs: examples, at least two rows.
        names: of the inputs.

    Raises:
        InputError: an operation that ONNX does not have, or onnx or onnxscript not installed.
    """
    _require_packages()
    batch = torch.export.Dim("batch")
    what = type(module).__name__
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs),
                input_names=list(names),
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # of many kinds: of torch.export, of the translation, of the checker
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{what}: cannot be written as an ONNX graph ({reason})") from None
    if program is None:
        raise InputError(f"{what}: cannot be written as an ONNX graph")
    _name_outputs(program.model.graph, outputs)
    return program.model_proto


def _require_packages() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise InputError("export needs onnx and onnxscript: pip install 'faceunc[onnx]'") from None


def _name_outputs(graph: Any, outputs: Sequence[str]) -> None:
    """Name the outputs; values inside that have such a name already get another."""
    for node in graph:
        for value in node.outputs:
            if value.name in outputs:
                value.name = f"inner_{value.name}"
    for value, name in zip(graph.outputs, outputs, strict=True):
        value.name = name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its steps on stdout and through warnings and loggers; none of it is for users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
