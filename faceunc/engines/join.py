"""ONNX graphs put together: what comes before, an ONNX backbone's own nodes, the head.

A backbone's nodes and numbers stay as they are; only its operators are raised to the opset of the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faceunc.backbones.onnx import OnnxBackbone
from faceunc.engines.graph import OPSET
from faceunc.errors import InputError


def joined(first: Any, second: Any, handed: Mapping[str, str], ends: tuple[str, ...]) -> Any:
    """``second`` behind ``first``, an ``onnx.ModelProto``.

    Args:
        handed: output of ``first`` -> input of ``second``. ends: outputs of the result, of either.

    All names inside get a prefix, so that the two cannot meet; the first's inputs and the ends keep theirs.
    """
    from onnx import compose

    before, after = compose.add_prefix(_plain(first), "body/"), compose.add_prefix(_plain(second), "head/")
    before.ir_version = after.ir_version = min(before.ir_version, after.ir_version)
    theirs = {value.name for value in second.graph.output}
    outputs = [f"head/{name}" if name in theirs else f"body/{name}" for name in ends]
    pairs = [(f"body/{out}", f"head/{into}") for out, into in handed.items()]
    model = compose.merge_models(
        before, after, io_map=pairs, outputs=[f"head/{name}" for name in ends if name in theirs]
    )
    _keep_outputs(model, first, outputs)
    inputs = [value.name for value in model.graph.input]
    _rename(model, dict(zip([*outputs, *inputs], [*ends, *(name.split("/", 1)[1] for name in inputs)], strict=True)))
    return model


def read_body(backbone: OnnxBackbone) -> Any:
    """The backbone's model at our opset, its batch axis free.

    Raises:
        InputError: operators that cannot be raised to it.
    """
    import onnx
    from onnx import version_converter

    try:
        model = version_converter.convert_version(onnx.load(str(backbone.model)), OPSET)
    except Exception as error:  # of many kinds, directly below Exception
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{backbone.model}: cannot be raised to ONNX opset {OPSET} ({reason})") from None
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in [*model.graph.input, *model.graph.output]:
        if value.name not in weights and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del model.graph.value_info[:]
    return model


def _plain(model: Any) -> Any:
    """Without opsets of other domains that no node uses: models are merged only where all agree."""
    used = {node.domain for node in model.graph.node} | {""}
    for entry in [entry for entry in model.opset_import if entry.domain not in used]:
        model.opset_import.remove(entry)
    return model


def _keep_outputs(model: Any, first: Any, order: list[str]) -> None:
    """Give back the outputs of the first part that merging took for used up, in the wanted order."""
    for value in first.graph.output:
        if f"body/{value.name}" in order:
            added = model.graph.output.add()
            added.CopyFrom(value)
            added.name = f"body/{value.name}"
    found = {value.name: value for value in model.graph.output}
    values = [found[name] for name in order]
    del model.graph.output[:]
    model.graph.output.extend(values)


def _rename(model: Any, names: Mapping[str, str]) -> None:
    for value in [*model.graph.input, *model.graph.output]:
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
