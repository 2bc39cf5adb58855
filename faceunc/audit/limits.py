"""From which sigma on a photograph would be refused, and where that limit comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from faceunc.embeddings import Embeddings

REFERENCE_FILE = Path(__file__).with_name("sigma_reference.json")
USUAL_SHARE = 0.05  # of clean LFW faces beyond the usual limit


@dataclass(frozen=True)
class Limit:
    """Photographs with a larger ``sigma`` count as refused; ``origin`` says in words why this number."""

    sigma: float
    origin: str


@cache
def reference() -> dict[str, Any]:
    """Quantiles of sigma on LFW's clean faces, by sha256 of the head: written by ``scripts/sigma_reference``."""
    return dict(json.loads(REFERENCE_FILE.read_text("utf-8"))["heads"])


def known_quantiles(embeddings: Embeddings) -> list[float] | None:
    """101 quantiles (0%, 1%, ... 100%) of sigma on clean LFW faces with the head of these embeddings, if it ships."""
    entry = reference().get(embeddings.meta.get("head_sha256", ""))
    return None if entry is None else list(entry["sigma"])


def refusal_limit(embeddings: Embeddings, sigma: float | None = None, share: float | None = None) -> Limit:
    """The limit: ``sigma`` itself, or the one that the worst ``share`` of the reference photographs exceeds.

    The reference photographs are LFW's as they are for the heads that ship, else the given ones themselves. The share
    is .05 unless it is given.
    """
    if sigma is not None:
        return Limit(sigma, "given by --refuse-sigma")
    worst = USUAL_SHARE if share is None else share
    quantiles = known_quantiles(embeddings)
    if quantiles is not None:
        return Limit(_quantile(quantiles, 1.0 - worst), f"the worst {worst:.0%} of LFW's clean faces exceed it")
    return Limit(
        float(np.quantile(embeddings.sigma, 1.0 - worst)),
        f"the worst {worst:.0%} of these very photographs exceed it: no reference is known for this head, so that so "
        "many are refused however good they are",
    )


def _quantile(quantiles: ArrayLike, share: float) -> float:
    values = np.asarray(quantiles, np.float64)
    return float(np.interp(share, np.linspace(0.0, 1.0, len(values)), values))
