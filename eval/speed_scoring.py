"""All-pairs and top-k MLS against its peers and the machine: a part of ``python eval/speed.py LFW --only scoring``.

Real embeddings of LFW (dlib, shipped heads; for D = 512 four of them side by side, which is only for timing). Rounds go
through all candidates in turn, and each figure is the median of its rounds, so that a slow minute hits all alike. The
limit is that of the issue: measured fused multiply-adds a second / (6.5 D), 2 D for one variance an image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from speed_scoring_peers import eager_blocks, fma_per_second, loop_in_c, product_per_second, torch_compiled

from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import EvalOptions
from faceunc.evaluation.setup import folder_bench
from faceunc.heads.shipped import head_path
from faceunc.heads.store import load_head
from faceunc.images.views import View
from faceunc.protocols.lfw import read_pairs
from faceunc.scoring.all_pairs import for_each_strip, make_pairs, mls_matrix
from faceunc.scoring.histogram import mls_histogram
from faceunc.scoring.search import mls_top_k

ROUNDS = 7
OPERATIONS = {"per-dimension": 6.5, "scalar": 2.0}  # vector operations a dimension and pair, see the issue
PEERS: dict[str, Callable[[Embeddings], Callable[[], int]]] = {
    "eager torch": eager_blocks,
    "torch.compile": torch_compiled,
    "PFE's loop": partial(loop_in_c, views=True),
    "its loop, contiguous, vector log": partial(loop_in_c, views=False),
}
SIDE = 2048  # of our square matrices; slow peers do fewer rows
GALLERY, PROBES = 500_000, 1_000


def measure(data: Path) -> dict[str, Any]:
    """All figures of the section, JSON-ready."""
    faces = lfw_embeddings(data)
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    cases = {
        "per-dimension, D = 128": faces["per-dimension"],
        "scalar, D = 128": faces["scalar"],
        "per-dimension, D = 512": widened(faces["per-dimension"], 4),
    }
    figures["all pairs"] = {name: all_pairs(side[:SIDE], name.partition(",")[0]) for name, side in cases.items()}
    figures["error"] = {name: error(side) for name, side in cases.items()}
    figures["whole LFW"] = {name: whole(cases[name], data) for name in ("per-dimension, D = 128", "scalar, D = 128")}
    figures["top-k"] = {kind: search(faces[kind]) for kind in ("per-dimension", "scalar")}
    return figures


def lfw_embeddings(data: Path) -> dict[str, Embeddings]:
    """LFW's clean view under both shipped heads (who know these people: that matters to accuracy, not to time)."""
    bench = folder_bench(EvalOptions(data), read_pairs(data / "pairs.txt"))
    features = bench.source.features([View()])[View()]
    found = {}
    for kind, name in (("per-dimension", "dlib-pfe"), ("scalar", "dlib-pfe-scalar")):
        with torch.no_grad():
            log_var = load_head(head_path(name)).head(torch.from_numpy(features.feature_map.astype(np.float32)))
        found[kind] = Embeddings(np.array(features.mean), log_var.numpy(), bench.source.photos.ids)
    return found


def widened(side: Embeddings, times: int) -> Embeddings:
    """``times`` photographs side by side: the dimension of larger networks, with variances of real spread."""
    turns = [np.roll(np.arange(len(side)), turn) for turn in range(times)]
    mean = np.concatenate([side.mean[turn] for turn in turns], 1) / np.float32(np.sqrt(times))
    return Embeddings(mean, np.concatenate([side.log_var[turn] for turn in turns], 1), side.ids)


def medians(works: Mapping[str, Callable[[], int]]) -> dict[str, float]:
    """Pairs (or operations) a second of each, in turns; ``work()`` returns how many it did. The first round is not
    counted."""
    rates: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(ROUNDS + 1):
        for name, work in works.items():
            start = time.perf_counter()
            done = work()
            if turn:
                rates[name].append(done / (time.perf_counter() - start))
    return {name: median(found) for name, found in rates.items()}


def all_pairs(side: Embeddings, kind: str) -> dict[str, Any]:
    """Million pairs a second of ours and the peers, and the ratios that the issue asks for."""
    pairs = make_pairs(side, side)
    out = np.empty((len(side), len(side)), np.float32)

    def streamed() -> int:
        for_each_strip(pairs, lambda rows, columns, scores: None)
        return out.size

    def stored() -> int:
        return mls_matrix(side, side).size

    works: dict[str, Callable[[], int]] = {
        "fused multiply-adds": fma_per_second(),
        "matrix product": product_per_second(),
        "ours": streamed,
        "ours, matrix stored": stored,
    }
    missing = {}
    for name, make in PEERS.items():
        try:
            works[name] = make(side)
        except RuntimeError as reason:
            missing[name] = str(reason)
    rates = medians(works)
    peak = max(rates.pop("fused multiply-adds"), rates.pop("matrix product"))
    limit, mine = peak / (OPERATIONS[kind] * side.dim), rates["ours"]
    return {
        "giga FMA a second": peak / 1e9,
        "limit, Mpairs/s": limit / 1e6,
        "Mpairs/s": {name: rate / 1e6 for name, rate in rates.items()},
        "of the limit": mine / limit,
        **{f"times {name}": mine / rate for name, rate in rates.items() if not name.startswith("ours")},
        "skipped": missing,
    }


def error(side: Embeddings, rows: int = 64) -> dict[str, float]:
    """Largest error against float64 over ``rows`` spread rows x all: relative to the magnitudes of a score's terms, in
    nats, and relative to the score (of which the worst has no bound, for scores cross 0)."""
    chosen = side[np.linspace(0, len(side) - 1, rows).astype(int)]
    scores = mls_matrix(chosen, side).astype(np.float64)
    exact, terms = (np.empty_like(scores) for _ in range(2))
    mean, variance = side.mean.astype(np.float64), np.exp(side.log_var.astype(np.float64))
    half = 0.5 * side.dim * np.log(2 * np.pi)
    for i in range(rows):
        total = np.broadcast_to(np.exp(chosen.log_var[i].astype(np.float64)) + variance, mean.shape)
        fractions = 0.5 * (np.square(chosen.mean[i].astype(np.float64) - mean) / total).sum(1)
        logs = 0.5 * np.log(total)
        exact[i] = -fractions - logs.sum(1) - half
        terms[i] = fractions + np.abs(logs).sum(1) + half
    off: NDArray[np.float64] = np.abs(scores - exact)
    return {
        "relative to the terms": float((off / terms).max()),
        "nats": float(off.max()),
        "relative to the score, median": float(np.median(off / np.abs(exact))),
        "relative to the score, 99%": float(np.quantile(off / np.abs(exact), 0.99)),
    }


def whole(side: Embeddings, data: Path) -> dict[str, float]:
    """All unordered pairs of LFW counted into a ROC: seconds, pairs, pairs a second."""
    person = np.unique([Path(name).parent.name for name in side.ids], return_inverse=True)[1]
    mls_histogram(side[:2000], None, person[:2000])
    start = time.perf_counter()
    counted = mls_histogram(side, None, person)
    seconds = time.perf_counter() - start
    pairs = int(counted.genuine.sum() + counted.impostor.sum())
    return {"pairs": pairs, "seconds": seconds, "Mpairs/s": pairs / seconds / 1e6}


def search(side: Embeddings) -> dict[str, Any]:
    """Top-k in a gallery of LFW repeated with seeded noise: with bounds and without, and that both agree exactly."""
    rng = np.random.default_rng(0)

    def noisy(count: int) -> Embeddings:
        rows = rng.integers(0, len(side), count)
        mean = side.mean[rows] + rng.normal(0, 0.02, (count, side.dim)).astype(np.float32)
        mean /= np.linalg.norm(mean, axis=1, keepdims=True)
        log_var = side.log_var[rows] + rng.normal(0, 0.05, (count, side.log_var.shape[1])).astype(np.float32)
        return Embeddings(mean, log_var, [""] * count)

    gallery, probes = noisy(GALLERY), noisy(PROBES)
    mls_top_k(probes[:600], gallery[:20_000], 1)
    found: dict[str, Any] = {"gallery": GALLERY, "probes": PROBES}
    for k in (1, 10, 100):
        times, results = [], []
        for bounds in (True, False):
            start = time.perf_counter()
            results.append(mls_top_k(probes, gallery, k, bounds))
            times.append(time.perf_counter() - start)
        same = all(np.array_equal(getattr(results[0], part), getattr(results[1], part)) for part in ("index", "score"))
        rates = [GALLERY * PROBES / seconds / 1e6 for seconds in times]
        found[f"k = {k}"] = {
            "Mpairs/s with bounds": rates[0],
            "Mpairs/s without": rates[1],
            "share scored": results[0].scored,
            "identical": same,
        }
    return found
