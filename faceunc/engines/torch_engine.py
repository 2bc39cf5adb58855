"""Engines of torch: a backbone as it is, or compiled, and the head in float32 behind it."""

from __future__ import annotations

import os
import shutil
import sys
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone, BackboneOutput, TorchBackbone, check_chips
from faceunc.engines.base import EngineOutput
from faceunc.engines.papers import Papers, reason_of
from faceunc.errors import InputError
from faceunc.heads.store import StoredHead

_CHUNK = 32


class TorchEngine:
    """A backbone and its head. See :class:`faceunc.engines.base.Engine`, also for ``own_threads``.

    Raises:
        IncompatibleError: the head belongs to another backbone.
    """

    def __init__(self, name: str, backbone: Backbone, head: StoredHead, own_threads: bool = False) -> None:
        self.name, self.spec, self.precision, self.own_threads = name, backbone.spec, backbone.precision, own_threads
        self.papers = Papers.of(backbone.spec, head)
        self.backbone, self._head = backbone, head.head

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Backbone alone: chips, uint8 (N, S, S, 3), to its feature map, mean and norm."""
        if len(chips) <= _CHUNK:
            return self.backbone(chips)
        parts = [self.backbone(chips[start : start + _CHUNK]) for start in range(0, len(chips), _CHUNK)]
        return BackboneOutput(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    @torch.no_grad()
    def embed(self, chips: NDArray[np.uint8]) -> EngineOutput:
        """Backbone and head."""
        output = self(chips)
        mean, log_var = self._head.embed(self._head.pool(output.feature_map, output.norm), output.mean)
        return EngineOutput(mean.numpy(), log_var.numpy(), output.norm.numpy())


class CompiledBackbone(TorchBackbone):
    """A torch backbone compiled by ``torch.compile`` for batches of any size; the first calls take a minute.

    A program is made for one number of torch threads, at the first call with that number: side by side in
    :func:`faceunc.threads.in_order` calls share those of one core. They are faster so (dlib's network on two
    cores: 367 chips/s, 344 one call after another on both cores, 191 one after another in the workers).
    """

    def __init__(self, backbone: TorchBackbone, precision: str) -> None:
        super().__init__(backbone.module, backbone.spec, precision)
        self.eager = backbone.module
        self.module = torch.compile(backbone.module, dynamic=False, options={"freezing": True})  # type: ignore[assignment]
        self._compiling, self._ready = Lock(), set[tuple[int, int]]()

    def __call__(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """Embed chips: batches are filled to 1 or a full chunk, so that two programs serve all sizes."""
        check_chips(chips, self.spec)
        if len(chips) in (0, 1, _CHUNK):
            return self._run(chips)
        filled = np.concatenate([chips, np.zeros((_CHUNK - len(chips), *chips.shape[1:]), np.uint8)])
        return BackboneOutput(*(tensor[: len(chips)] for tensor in self._run(filled)))

    def _run(self, chips: NDArray[np.uint8]) -> BackboneOutput:
        """A program's first call holds the others back, which would make the same program again."""
        program = (len(chips), torch.get_num_threads())
        if program in self._ready:
            return super().__call__(chips)
        with self._compiling:
            try:
                output = super().__call__(chips)
            except InputError:
                raise
            except Exception as error:  # of many kinds: no headers, a compiler that fails, an operator it does not know
                raise InputError(f"torch.compile cannot run {self.spec.name} here ({reason_of(error)})") from error
            self._ready.add(program)
        return output


def compiled(backbone: Backbone, precision: str) -> CompiledBackbone:
    """Compile a backbone.

    Raises:
        InputError: not a torch backbone.
    """
    if not isinstance(backbone, TorchBackbone):
        raise InputError(f"only torch backbones can be compiled. Got {backbone.spec.name} instead.")
    return CompiledBackbone(backbone, precision)


def no_compiler() -> str:
    """Why torch.compile cannot work here, in one line; empty when a C++ compiler is found."""
    names = [os.environ.get("CXX", ""), *(("cl",) if sys.platform == "win32" else ("g++", "clang++"))]
    found = any(name and shutil.which(name) for name in names)
    return "" if found else "needs a C++ compiler (such as g++), none is on the path"
