"""Any torch module whose output is the embedding, with a named layer whose output is the feature map."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace

import torch
from torch import Tensor, nn

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.precision import choose_precision
from faceunc.backbones.spec import BackboneSpec
from faceunc.errors import InputError


class HookedModule(nn.Module):
    """Wraps a module so that its call returns (feature map, embedding): what two of its layers gave on the way.

    Args:
        module: any module that takes (N, 3, S, S).
        feature_layer: dotted name of the layer whose output is the feature map.
        embedding_layer: the same for the embedding before normalisation; None takes the module's own output.
    """

    def __init__(self, module: nn.Module, feature_layer: str, embedding_layer: str | None = None) -> None:
        super().__init__()
        self.module = module
        self._seen: dict[int, dict[str, Tensor]] = {}  # by thread: batches go through side by side
        self._output_embeds = embedding_layer is None
        self._watch("features", feature_layer)
        if embedding_layer is not None:
            self._watch("embedding", embedding_layer)

    def _watch(self, role: str, layer: str) -> None:
        layers = dict(self.module.named_modules())
        if layer not in layers or not layer:
            names = ", ".join(name for name in layers if name and "." not in name)
            raise InputError(f"{role} layer must name a layer of the module (such as {names}). Got {layer!r} instead.")

        def keep(_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            here = self._seen.get(_caller())
            if here is not None:  # else the module was called by itself
                here[role] = output

        layers[layer].register_forward_hook(keep)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return (feature map, embedding)."""
        here = _caller()
        self._seen[here] = {}
        try:
            output = self.module(x)
        finally:
            seen = self._seen.pop(here)
        if self._output_embeds:
            seen = {"embedding": output, **seen}
        for role in ("features", "embedding"):
            if not isinstance(seen.get(role), Tensor):
                raise InputError(f"the {role} layer gave no tensor in the module's forward pass")
        return seen["features"], seen["embedding"]


def _caller() -> int:
    """Tells threads apart; always the same in the trace of torch.compile, for what it reads becomes part of the graph.

    (``torch.compiler.is_compiling()`` would be true in all threads while one of them compiles.)
    """
    return 0 if torch.compiler.is_dynamo_compiling() else threading.get_ident()


def module_backbone(
    module: nn.Module,
    spec: BackboneSpec,
    feature_layer: str,
    embedding_layer: str | None = None,
    precision: str = "float32",
) -> TorchBackbone:
    """Make a backbone of any embedding module.

    The module is called on (N, 3, S, S) float32 and must return (N, ``spec.dim``); the layer ``feature_layer`` must
    give (N, \\*``spec.feature_shape``). Both are checked once with a blank chip. Where the spec carries no sha256,
    that of the module's parameters is filled in: caches and heads are told apart by it. The module itself is frozen.

    Raises:
        InputError: unknown layer, or shapes that differ from the spec.
    """
    if not spec.sha256:
        spec = replace(spec, sha256=_hash_parameters(module))
    hooked = HookedModule(module.eval(), feature_layer, embedding_layer)
    backbone = TorchBackbone(hooked, spec, "float32")
    side = spec.input_size
    try:
        with torch.no_grad():
            feature_map, raw = hooked(torch.zeros(1, 3, side, side))
    except RuntimeError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"backbone {spec.name}: the module does not take (1, 3, {side}, {side}): {reason}") from error
    if tuple(feature_map.shape[1:]) != spec.feature_shape or tuple(raw.shape[1:]) != (spec.dim,):
        raise InputError(
            f"backbone {spec.name}: the spec says features {spec.feature_shape} and {spec.dim} dimensions. "
            f"Got {tuple(feature_map.shape[1:])} and {tuple(raw.shape[1:])} instead."
        )
    return choose_precision(backbone, precision)


def _hash_parameters(module: nn.Module) -> str:
    """Hex sha256 of all parameters and buffers with their names."""
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        total.update(name.encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
