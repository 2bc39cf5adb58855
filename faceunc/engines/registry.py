"""Engines loaded by name, from a head or from an exported file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch

from faceunc.backbones.base import Backbone, TorchBackbone
from faceunc.backbones.precision import MIN_COSINE, PRECISIONS, has_fast_bfloat16
from faceunc.backbones.registry import load_backbone
from faceunc.engines.base import Engine
from faceunc.engines.export import EXPORTER, export_onnx
from faceunc.engines.names import ENGINES, REFERENCE, EngineKind
from faceunc.engines.papers import FORMAT, Papers, read_papers
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead
from faceunc.storage import cache_dir


def load_engine(
    name: str, head: StoredHead, backbone: str | Backbone | None = None, threads: int | None = None
) -> Engine:
    """Load an engine for a head. For onnxruntime and OpenVINO the model is exported to the cache once (seconds).

    Args:
        name: of :data:`faceunc.engines.names.ENGINES`. backbone: name, ONNX spec or a float32 backbone; None takes the
            one that the head was trained on. threads: None for torch's number.

    Raises:
        InputError: unknown name, package not installed (the message names the extra), or a model that this engine does
            not run. IncompatibleError: head and backbone do not belong together.
    """
    kind = find_engine(name)
    reason = unavailable(kind)
    if reason:
        raise InputError(f"engine {name} {reason}")
    if backbone is None or isinstance(backbone, str):
        backbone = load_backbone(backbone or head.backbone, "float32")
    head.check_backbone(backbone.spec)
    return _LOADERS[kind.runtime](kind, head, backbone, threads or torch.get_num_threads())


def open_engine(path: str | Path, name: str = "onnxruntime", threads: int | None = None) -> Engine:
    """Open a model that ``faceunc export`` wrote; neither the head's nor the backbone's file is needed.

    Raises:
        InputError: an engine that reads no files, a package that is not installed, a missing, damaged or foreign file.
    """
    kind = find_engine(name)
    if kind.runtime not in _OPENERS:
        readers = ", ".join(kind.name for kind in ENGINES.values() if kind.runtime in _OPENERS)
        raise InputError(f"exported models are run by {readers}. Got engine {name} instead.")
    return _OPENERS[kind.runtime](kind.name, Path(path), threads or torch.get_num_threads())


def find_engine(name: str) -> EngineKind:
    """An engine's entry by name. Raises InputError for an unknown one."""
    if name not in ENGINES:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}. Got {name!r} instead.")
    return ENGINES[name]


def unavailable(kind: EngineKind) -> str:
    """Why an engine cannot run on this machine, and what helps, in one line; empty when it can."""
    if kind.not_installed:
        return kind.not_installed
    if kind.precision == "bfloat16" and not has_fast_bfloat16():
        return "needs a processor with bfloat16 instructions (AVX512-BF16 or AMX)"
    if kind.runtime == "compile":
        from faceunc.engines.torch_engine import no_compiler

        return no_compiler()
    if kind.runtime == "fused" and not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "needs a torch that was built with oneDNN"
    return ""


def default_engine(backbone: Backbone, precision: str = "auto") -> str:
    """The engine that ``faceunc embed`` uses when none is named: dlib's network by fused convolutions, others by torch.

    Args:
        backbone: loaded, of any precision. precision: "float32", "bfloat16", or "auto": bfloat16 where the processor is
            fast at it and the engine says what float32 says of a real face, clean and degraded; float32 otherwise.

    Where fused convolutions cannot run or fail their check, plain torch is named. Takes half a second.

    Raises:
        InputError: an unknown precision, or bfloat16 for what is no network of torch.
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}. Got {precision!r} instead.")
    if not isinstance(backbone, TorchBackbone):
        if precision == "bfloat16":
            raise InputError(
                f"{backbone.spec.name} runs in float32 only: precision must be that or auto. Got bfloat16."
            )
        return REFERENCE
    exact = TorchBackbone(backbone.module, backbone.spec)
    if precision == "auto":
        found = _best(exact, "bfloat16") if has_fast_bfloat16() else ""
        return found or default_engine(backbone, "float32")
    return _best(exact, precision) or ("torch-bf16" if precision == "bfloat16" else REFERENCE)


def _best(exact: TorchBackbone, precision: str) -> str:
    """The first engine, fused before plain, that is as near to float32 as its precision allows; empty: none."""
    from faceunc.engines.fused import FusedResNet
    from faceunc.engines.parity import face_chips, with_degraded

    chips = with_degraded(face_chips(exact.spec))
    expected = exact(chips).mean
    makers: list[tuple[str, Callable[[TorchBackbone, str], Backbone]]] = [("fused", FusedResNet)]
    if precision == "bfloat16":
        makers.append(("torch", _with_precision))
    for runtime, make in makers:
        kind = next(kind for kind in ENGINES.values() if (kind.runtime, kind.precision) == (runtime, precision))
        try:
            cosine = (make(exact, precision)(chips).mean * expected).sum(1).min() if not unavailable(kind) else 0.0
        except InputError:  # fused convolutions are for dlib's network, and for a torch that has them
            continue
        if cosine >= MIN_COSINE:
            return kind.name
    return ""


def _with_precision(backbone: TorchBackbone, precision: str) -> TorchBackbone:
    return TorchBackbone(backbone.module, backbone.spec, precision)


def exported_file(head: StoredHead, backbone: Backbone) -> Path:
    """The exported model of this pair in the cache; written when it is not there, or damaged."""
    expected = Papers.of(backbone.spec, head)
    key = hashlib.sha256(json.dumps(expected.to_properties(), sort_keys=True).encode()).hexdigest()[:32]
    path = cache_dir() / "engines" / f"{FORMAT}-exporter-{EXPORTER}" / f"{key}.onnx"
    try:
        good = path.is_file() and read_papers(path) == expected
    except InputError:
        good = False
    if not good:
        export_onnx(backbone, head, path)
    return path


def _torch(kind: EngineKind, head: StoredHead, backbone: Backbone, threads: int) -> Engine:
    from faceunc.engines.torch_engine import TorchEngine

    if kind.name != REFERENCE:
        if not isinstance(backbone, TorchBackbone):
            raise InputError(f"engine {kind.name} runs torch backbones. Got {backbone.spec.name} instead.")
        backbone = _with_precision(backbone, kind.precision)
    return TorchEngine(kind.name, backbone, head, own_threads=not isinstance(backbone, TorchBackbone))


def _fused(kind: EngineKind, head: StoredHead, backbone: Backbone, threads: int) -> Engine:
    from faceunc.engines.fused import FusedResNet
    from faceunc.engines.torch_engine import TorchEngine

    return TorchEngine(kind.name, FusedResNet(backbone, kind.precision), head)


def _compile(kind: EngineKind, head: StoredHead, backbone: Backbone, threads: int) -> Engine:
    from faceunc.engines.torch_engine import TorchEngine, compiled

    return TorchEngine(kind.name, compiled(backbone, kind.precision), head)


def _exported(kind: EngineKind, head: StoredHead, backbone: Backbone, threads: int) -> Engine:
    return _OPENERS[kind.runtime](kind.name, exported_file(head, backbone), threads)


def _open_onnxruntime(name: str, path: Path, threads: int) -> Engine:
    from faceunc.engines.onnxruntime_engine import open_onnxruntime

    return open_onnxruntime(name, path, threads)


def _open_openvino(name: str, path: Path, threads: int) -> Engine:
    from faceunc.engines.openvino_engine import open_openvino

    return open_openvino(name, path, threads)


_OPENERS: dict[str, Callable[[str, Path, int], Engine]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
}
_LOADERS: dict[str, Callable[[EngineKind, StoredHead, Backbone, int], Engine]] = {
    "torch": _torch,
    "fused": _fused,
    "compile": _compile,
    **dict.fromkeys(_OPENERS, _exported),
}
