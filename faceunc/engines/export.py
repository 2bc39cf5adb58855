"""Backbone and head -> one ONNX file with a dynamic batch, which says in its metadata what it is.

The file begins at the aligned chip: finding a face and cutting it out are not in it. Every head can be exported but
that of SER-FIQ, which draws random numbers; of an ensemble the total variance is written, not its epistemic part; MC
dropout (``--mc-dropout``) is no part of a head and cannot be exported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from faceunc.backbones.base import Backbone, TorchBackbone
from faceunc.backbones.onnx import OnnxBackbone
from faceunc.engines.graph import graph_of
from faceunc.engines.join import joined, read_body
from faceunc.engines.papers import Papers, sealed
from faceunc.engines.parts import BODY_OUTPUTS, HEAD_OUTPUTS, Body, Finish, Normalise
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead
from faceunc.storage import atomic_write

EXPORTER = "1"  # to be raised whenever the same backbone and head give another file: cached ones are then written anew


def export_onnx(backbone: Backbone, head: StoredHead, path: str | Path) -> Papers:
    """Write backbone and head as one ONNX model, whole or not at all.

    Input ``chips``: uint8 (N, S, S, 3) RGB, N free. Outputs: ``mean`` (N, D) L2-normalised, ``log_var`` (N, D or 1),
    ``norm`` (N,), and what the head reads: ``feature_map`` (N, C, h, w), ``embedding`` (N, D) before normalisation.

    Args:
        backbone: a torch backbone, or an ONNX one, whose graph is kept and gets the head attached.
        head: trained on this backbone. path: file to write.

    Raises:
        IncompatibleError: the head belongs to another backbone. InputError: onnx or onnxscript not installed, or a
            head that cannot be written as a graph (see above). OutputError: cannot write.
    """
    papers = Papers.of(backbone.spec, head)
    _require_graph(head)
    body, spec = _body(backbone), backbone.spec
    examples = [torch.zeros(2, *spec.feature_shape), torch.zeros(2, spec.dim)]
    finish = graph_of(Finish(head.head), examples, BODY_OUTPUTS, HEAD_OUTPUTS)
    model = joined(body, finish, {name: name for name in BODY_OUTPUTS}, (*HEAD_OUTPUTS, *BODY_OUTPUTS))
    _write_properties(model, {**papers.to_properties(), "exporter": EXPORTER})
    atomic_write(path, sealed(model.SerializeToString(deterministic=True)))
    return papers


def _require_graph(head: StoredHead) -> None:
    heads = getattr(head.head, "heads", [head.head])
    if any(getattr(single.config, "measure", "") == "serfiq" for single in heads):
        raise InputError(f"head {head.name}: SER-FIQ draws random numbers and cannot be exported; use engine torch")


def _body(backbone: Backbone) -> Any:
    """Chips -> (feature map, embedding), as an ``onnx.ModelProto``."""
    spec = backbone.spec
    chips = [torch.zeros(2, spec.input_size, spec.input_size, 3, dtype=torch.uint8)]
    if isinstance(backbone, TorchBackbone):
        return graph_of(Body(backbone.module, spec), chips, ["chips"], BODY_OUTPUTS)
    if not isinstance(backbone, OnnxBackbone):
        raise InputError(f"backbone {spec.name}: only torch and ONNX backbones can be exported")
    pixels = graph_of(Normalise(spec), chips, ["chips"], ["pixels"])
    names = backbone.graph
    ends = (names["feature_output"], names["embedding_output"])
    model = joined(pixels, read_body(backbone), {"pixels": names["input"]}, ends)
    for value, name in zip(model.graph.output, BODY_OUTPUTS, strict=True):
        _call(model, value.name, name)
    return model


def _call(model: Any, old: str, new: str) -> None:
    """Give an output its new name, by an Identity that the runtimes drop."""
    from onnx import helper

    if old == new:
        return
    model.graph.node.append(helper.make_node("Identity", [old], [new]))
    next(value for value in model.graph.output if value.name == old).name = new


def _write_properties(model: Any, properties: dict[str, str]) -> None:
    del model.metadata_props[:]
    for key, value in properties.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
