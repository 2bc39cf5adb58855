"""The one interface of every engine: a backbone that carries its head; chips become (mean, log_var) in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.embeddings import Embeddings
from faceunc.engines.papers import Papers


class EngineOutput(NamedTuple):
    """What an engine says of N chips.

    Attributes:
        mean: float32 (N, D), L2-normalised, as the head leaves it. log_var: float32 (N, D) or (N, 1), natural log of
            the variance on the unit sphere. norm: float32 (N,), length of the backbone's embedding before
            normalisation.
    """

    mean: NDArray[np.float32]
    log_var: NDArray[np.float32]
    norm: NDArray[np.float32]


@runtime_checkable
class Engine(Backbone, Protocol):
    """A backbone (called, it gives feature map, frozen mean and norm) that can run its head as well.

    To add one: a class with these members, its name in :mod:`faceunc.engines.names`, its loader in
    :mod:`faceunc.engines.registry`.

    Attributes:
        name: of :data:`faceunc.engines.names.ENGINES`. papers: backbone and head that it runs.
        own_threads: whether it works with threads of its own, one call after another; else with torch's threads of the
            caller, and calls from several threads run side by side.
    """

    name: str
    papers: Papers
    own_threads: bool

    def embed(self, chips: NDArray[np.uint8]) -> EngineOutput:
        """Aligned RGB chips, uint8 (N, S, S, 3), to (mean, log_var, norm).

        Raises:
            InputError: when the chips have another shape or type.
        """
        ...


def embeddings(engine: Engine, chips: NDArray[np.uint8], ids: Sequence[str]) -> Embeddings:
    """Chips, uint8 (N, S, S, 3), with their names -> :class:`Embeddings` that say where they come from."""
    output = engine.embed(chips)
    return Embeddings(output.mean, output.log_var, list(ids), meta=engine.papers.meta(engine.precision, engine.name))
