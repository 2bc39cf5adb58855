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
from faceunc.engines.papers import Papers
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
        self._runner = runner

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Backbone alone: chips, uint8 (N, S, S, 3), to its feature map, mean and norm."""
        check_chips(chips, self.spec)
        if not len(chips):
            return empty_output(self.spec)
        feature_map, raw = (torch.from_numpy(array) for array in self._runner.features(chips))
        return output_of(feature_map, raw)

    def embed(self, chips: NDArray[np.uint8]) -> EngineOutput:
        """Backbone and head."""
        check_chips(chips, self.spec)
        if len(chips):
            return EngineOutput(*self._runner.embed(chips))
        one = self._runner.embed(np.zeros((1, *chips.shape[1:]), np.uint8))
        return EngineOutput(*(array[:0] for array in one))


def checked(engine: OnnxEngine, source: Path) -> OnnxEngine:
    """The engine, after one blank chip has gone through: names and shapes must be those that its papers promise.

    Raises:
        InputError: they are not.
    """
    spec = engine.spec
    blank = np.zeros((1, spec.input_size, spec.input_size, 3), np.uint8)
    try:
        feature_map, mean, _ = engine(blank)
        output = engine.embed(blank)
    except Exception as error:  # every runtime has its own kinds
        raise InputError(f"{source}: the graph does not fit its metadata ({str(error).splitlines()[0]})") from None
    got = (tuple(feature_map.shape[1:]), mean.shape[1], output.mean.shape, output.norm.shape)
    columns = output.log_var.shape[-1]
    if got != (spec.feature_shape, spec.dim, (1, spec.dim), (1,)) or columns not in (1, spec.dim):
        raise InputError(f"{source}: the metadata say features {spec.feature_shape}, dim {spec.dim}. Got {got} instead")
    return engine
