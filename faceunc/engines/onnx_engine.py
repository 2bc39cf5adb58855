"""What onnxruntime and OpenVINO have in common: an exported file, run chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import BackboneOutput, check_chips, empty_output, output_of
from faceunc.engines.base import EngineOutput
from faceunc.engines.papers import Papers, reason_of
from faceunc.engines.parts import BODY_OUTPUTS, HEAD_OUTPUTS
from faceunc.errors import InputError

Array = NDArray[np.float32]


class Runner(NamedTuple):
    """How one runtime runs a file: chips -> [feature map, raw embedding], and chips -> [mean, log_var, norm]."""

    features: Callable[[NDArray[np.uint8]], Sequence[Array]]
    embed: Callable[[NDArray[np.uint8]], Sequence[Array]]


class OnnxEngine:
    """An exported model under one runtime. See :class:`faceunc.engines.base.Engine`."""

    own_threads = True

    def __init__(self, name: str, precision: str, papers: Papers, runner: Runner) -> None:
        self.name, self.precision, self.papers, self.spec = name, precision, papers, papers.spec
        self.runner = runner

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Backbone alone: chips, uint8 (N, S, S, 3), to its feature map, mean and norm."""
        check_chips(chips, self.spec)
        if not len(chips):
            return empty_output(self.spec)
        feature_map, raw = (torch.from_numpy(array) for array in self.runner.features(chips))
        return output_of(feature_map, raw)

    def embed(self, chips: NDArray[np.uint8]) -> EngineOutput:
        """Backbone and head."""
        check_chips(chips, self.spec)
        if len(chips):
            return EngineOutput(*self.runner.embed(chips))
        one = self.runner.embed(np.zeros((1, *chips.shape[1:]), np.uint8))
        return EngineOutput(*(array[:0] for array in one))


def checked(engine: OnnxEngine, source: Path, count: int = 2) -> OnnxEngine:
    """The engine, after ``count`` blank chips have gone through: names, types and shapes must be as its papers promise.

    Raises:
        InputError: they are not.
    """
    spec = engine.spec
    blank = np.zeros((count, spec.input_size, spec.input_size, 3), np.uint8)
    try:
        arrays = [*engine.runner.features(blank), *engine.runner.embed(blank)]
        got = {name: (str(a.dtype), a.shape) for name, a in zip((*BODY_OUTPUTS, *HEAD_OUTPUTS), arrays, strict=True)}
    except Exception as error:  # every runtime has its own kinds
        raise InputError(f"{source}: the graph does not fit its metadata ({reason_of(error)})") from None
    vector = (count, spec.dim)
    log_var = (count, 1) if got["log_var"][1] == (count, 1) else vector
    shapes = ((count, *spec.feature_shape), vector, vector, log_var, (count,))  # in the order of the names
    for (name, (dtype, found)), shape in zip(got.items(), shapes, strict=True):
        if (dtype, found) != ("float32", shape):
            promised = f"the metadata say {name} float32 {shape}"
            raise InputError(f"{source}: {promised}. Got {dtype} {found} instead.")
    return engine
