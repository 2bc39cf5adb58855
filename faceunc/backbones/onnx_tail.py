"""The nodes of an ONNX graph between its feature map and its embedding as torch modules (the extra ``faceunc[onnx]``).

Read are chains of Conv (2-D), Flatten, Gemm, MatMul, BatchNormalization, GlobalAveragePool, Relu and PRelu; Dropout and
Identity are passed over. Everything else is refused by name. Semantics: https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from faceunc.errors import InputError

_BOTTLENECK = ("Gemm", "MatMul")
_PASSED_OVER = ("Dropout", "Identity")


@dataclass(frozen=True)
class _Node:
    """One operator: its attributes, the constants it reads (by position, without the first input), and whether what
    comes in is flat (N, P) or a map (N, C, h, w)."""

    op: str
    attributes: Mapping[str, Any]
    constants: list[NDArray[np.float32]]
    flat: bool

    def only(self, **expected: Any) -> None:
        """Raise InputError when an attribute is there with another value than the one that is supported."""
        for name, value in expected.items():
            got = self.attributes.get(name, value)
            if got != value:
                raise InputError(f"ONNX {self.op}: {name} must be {value}. Got {got} instead.")


def read_tail(model: Path, feature: str, embedding: str) -> tuple[nn.Module, nn.Module]:
    """(reduce, last): what leads from ``feature`` to the input of the last Gemm or MatMul, and the rest.

    Args:
        model: the ONNX file. feature, embedding: names of the graph's outputs.

    Raises:
        InputError: ``onnx`` not installed, an unreadable model, an operator or an attribute that is not supported, a
            graph that is no chain there, parameters in another file, or no Gemm or MatMul.
    """
    graph = _load(model)
    nodes = _chain(graph, feature, embedding, model)
    tensors = _constants(graph)
    modules: list[nn.Module] = []
    bottleneck, flat = None, False
    for node in nodes:
        values = [_array(tensors[name], name, model) for name in node.input[1:] if name]
        read = _Node(node.op_type, _attributes(node), values, flat)
        if node.op_type in _BOTTLENECK:
            bottleneck = len(modules)
        try:
            modules += _OPERATORS[node.op_type](read)
        except InputError as error:
            raise InputError(f"{model}: {error}") from None
        flat = flat or node.op_type in ("Flatten", *_BOTTLENECK)
    if bottleneck is None:
        raise InputError(f"{model}: expected a Gemm or MatMul between {feature!r} and {embedding!r}, found none")
    return nn.Sequential(*modules[:bottleneck]), nn.Sequential(*modules[bottleneck:])


def _load(model: Path) -> Any:
    try:
        import onnx
    except ImportError:
        raise InputError("the last layer of an ONNX backbone is read with onnx: pip install 'faceunc[onnx]'") from None
    try:
        return onnx.load(str(model), load_external_data=False).graph
    except Exception as error:  # protobuf's own kinds, directly below Exception
        raise InputError(f"{model}: not a model that onnx can read ({error})") from None


def _chain(graph: Any, feature: str, embedding: str, model: Path) -> list[Any]:
    """Nodes in the order of computation; each reads the one before it at its first input, and constants otherwise."""
    made_by = {name: node for node in graph.node for name in node.output}
    constants = set(_constants(graph))
    chain: list[Any] = []
    name = embedding
    while name != feature:
        node = made_by.get(name)
        if node is None:
            raise InputError(f"{model}: {embedding!r} must be computed from {feature!r} alone. Got {name!r} as well.")
        _ensure_supported(node, model)
        if not node.input or any(other and other not in constants for other in node.input[1:]):
            inputs = ", ".join(node.input)
            raise InputError(f"{model}: {node.op_type} {node.name!r} must read one map and constants. Got {inputs}.")
        chain.append(node)
        name = node.input[0]
    return chain[::-1]


def _ensure_supported(node: Any, model: Path) -> None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in _OPERATORS:
        op = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        raise InputError(
            f"{model}: operators after the feature map must be of {', '.join(_OPERATORS)}. Got {op} instead."
        )


def _constants(graph: Any) -> dict[str, Any]:
    """Tensors by name: initialisers, and what Constant nodes give."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            found[node.output[0]] = node.attribute[0].t
    return found


def _array(tensor: Any, name: str, model: Path) -> NDArray[np.float32]:
    from onnx import TensorProto, numpy_helper

    if tensor.data_location == TensorProto.EXTERNAL:
        raise InputError(f"{model}: tensors must lie in the file itself. Got {name!r} in another file instead.")
    return np.array(numpy_helper.to_array(tensor), np.float32)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


def _conv(node: _Node) -> list[nn.Module]:
    weight, *bias = node.constants
    if weight.ndim != 4 or node.flat:
        raise InputError(f"ONNX Conv: kernels must be (out, in, h, w). Got {weight.shape} instead.")
    node.only(auto_pad="NOTSET")
    top, left, bottom, right = node.attributes.get("pads", [0, 0, 0, 0])
    groups = int(node.attributes.get("group", 1))
    conv = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=tuple(node.attributes.get("strides", (1, 1))),
        dilation=tuple(node.attributes.get("dilations", (1, 1))),
        groups=groups,
        bias=bool(bias),
    )
    _fill(conv, weight=weight, **({"bias": bias[0]} if bias else {}))
    padded = any((top, left, bottom, right))
    return [nn.ZeroPad2d((left, right, top, bottom)), conv] if padded else [conv]


def _gemm(node: _Node) -> list[nn.Module]:
    node.only(transA=0)
    weight = node.constants[0] if node.attributes.get("transB", 0) else node.constants[0].T
    bias = node.constants[1] if len(node.constants) > 1 else None
    if bias is not None:
        bias = np.broadcast_to(np.float32(node.attributes.get("beta", 1.0)) * bias, (1, len(weight)))[0]
    return _linear(np.float32(node.attributes.get("alpha", 1.0)) * weight, bias)


def _matmul(node: _Node) -> list[nn.Module]:
    if node.constants[0].ndim != 2 or not node.flat:
        raise InputError("ONNX MatMul: both sides must be matrices. Got other shapes instead.")
    return _linear(node.constants[0].T, None)


def _linear(weight: NDArray[np.float32], bias: NDArray[np.float32] | None) -> list[nn.Module]:
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    _fill(linear, weight=weight, **({} if bias is None else {"bias": bias}))
    return [linear]


def _batch_norm(node: _Node) -> list[nn.Module]:
    node.only(training_mode=0)
    weight, bias, mean, var = node.constants
    kind = nn.BatchNorm1d if node.flat else nn.BatchNorm2d
    norm = kind(len(weight), eps=float(node.attributes.get("epsilon", 1e-5)))
    _fill(norm, weight=weight, bias=bias, running_mean=mean, running_var=var)
    return [norm]


def _flatten(node: _Node) -> list[nn.Module]:
    node.only(axis=1)
    return [nn.Flatten()]


def _prelu(node: _Node) -> list[nn.Module]:
    slope = node.constants[0]
    one_a_channel = slope.shape[-1:] == (slope.size,) if node.flat else slope.shape[-3:] == (slope.size, 1, 1)
    if slope.size != 1 and not one_a_channel:
        raise InputError(f"ONNX PRelu: slopes must be one, or one a channel. Got {slope.shape} instead.")
    prelu = nn.PReLU(slope.size)
    _fill(prelu, weight=slope.reshape(-1))
    return [prelu]


def _fill(module: nn.Module, **values: NDArray[np.float32]) -> None:
    """Copy arrays into the parameters and buffers of these names."""
    with torch.no_grad():
        for name, value in values.items():
            target: Tensor = getattr(module, name)
            target.copy_(torch.from_numpy(np.array(value, np.float32)))


def _nothing(node: _Node) -> list[nn.Module]:
    return []


_OPERATORS: dict[str, Callable[[_Node], list[nn.Module]]] = {
    "Conv": _conv,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": lambda node: [nn.AdaptiveAvgPool2d(1)],
    "Relu": lambda node: [nn.ReLU()],
    "PRelu": _prelu,
    **dict.fromkeys(_PASSED_OVER, _nothing),
}
