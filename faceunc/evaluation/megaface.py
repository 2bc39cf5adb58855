"""MegaFace's two figures from feature files: rank-1 among distractors, and verification against them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from faceunc.errors import InputError
from faceunc.metrics.streamed import TopImpostors
from faceunc.progress import bar
from faceunc.protocols.megaface import Convention, read_features, read_megaface
from faceunc.provenance import provenance

Floats = NDArray[np.float32]
SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
TARGETS = (1e-4, 1e-5, 1e-6)
_BLOCK = 4096


@dataclass(frozen=True)
class MegaFaceFiles:
    """Where a run's files are.

    Attributes:
        probes, distractors: the JSON lists. probe_features, distractor_features: the folders that their paths are
            relative to. suffix: what feature files have behind the image's name, such as ``_model.bin``.
        convention: "raw" or "cleaned" (then with the noise lists); never to be mixed in a table.
    """

    probes: Path
    distractors: Path
    probe_features: Path
    distractor_features: Path
    suffix: str
    convention: Convention
    probe_noise: Path | None = None
    distractor_noise: Path | None = None


def evaluate_megaface(files: MegaFaceFiles, show: bool | None = None) -> dict[str, Any]:
    """Rank-1 for growing numbers of distractors, and TAR at FAR 1e-4 to 1e-6 against all of them. JSON-ready.

    Every ordered pair of images of one person is a trial: the one is hidden among the distractors, the other searches.
    Distractors join in the order of their list. Cosine similarity; equal scores count against us.

    Raises:
        InputError: lists or feature files that are missing or damaged.
    """
    lists = read_megaface(files.probes, files.distractors, files.convention, files.probe_noise, files.distractor_noise)
    probes = _unit(read_features(files.probe_features, lists.probe_paths, files.suffix))
    mates = genuine_pairs(lists.probe_ids)
    if not len(mates[0]):
        raise InputError(f"{files.probes}: expected people with two probes or more, every one has a single one")
    scores = np.einsum("nd,nd->n", probes[mates[0]], probes[mates[1]])
    sizes = [size for size in SIZES if size < len(lists.distractor_paths)] + [len(lists.distractor_paths)]
    top = np.full(len(probes), -np.inf, np.float32)
    impostors = TopImpostors(max(1, int(2 * max(TARGETS) * len(probes) * len(lists.distractor_paths))) + 1)
    rank_one, seen = {}, 0
    with bar("distractors", len(lists.distractor_paths), show=show) as progress:
        for block in _blocks(files, lists.distractor_paths, sizes):
            found = probes @ block.T
            impostors.add(found)
            top = np.maximum(top, found.max(axis=1))
            seen += len(block)
            progress.update(len(block))
            if seen in sizes:
                rank_one[f"{seen}"] = float((scores > top[mates[1]]).mean())
    points = [impostors.tar_at_far(scores, target) for target in TARGETS]
    return {
        "evaluation": "megaface",
        "convention": lists.convention,
        "probes": len(probes),
        "people": len(set(lists.probe_ids)),
        "trials": len(scores),
        "distractors": len(lists.distractor_paths),
        "left out as noisy": {"probes": lists.noisy_probes, "distractors": lists.noisy_distractors},
        "lines of the noise lists that name no listed image": lists.unmatched_noise,
        "rank-1 by distractors": rank_one,
        "verification": {
            f"TAR@FAR {p.target:g}" + ("" if p.reliable else " (few)"): {"TAR": p.tar, "achieved FAR": p.far}
            for p in points
        },
        "provenance": provenance(),
    }


def megaface_table(result: dict[str, Any]) -> str:
    """The figures for a terminal; the convention stands in its first line."""
    first = f"megaface, convention {result['convention'].upper()}: {result['trials']} trials"
    rank = tabulate(list(result["rank-1 by distractors"].items()), headers=["distractors", "rank-1"], floatfmt=".4f")
    rows = [[name, point["TAR"]] for name, point in result["verification"].items()]
    return "\n".join([first, rank, "", tabulate(rows, headers=["verification", "TAR"], floatfmt=".4f")])


def genuine_pairs(ids: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All ordered pairs of different images of one person: (hidden, searching)."""
    _, person = np.unique(np.array(ids), return_inverse=True)
    hidden, searching = np.nonzero((person[:, None] == person[None]) & ~np.eye(len(ids), dtype=bool))
    return hidden.astype(np.int64), searching.astype(np.int64)


def _blocks(files: MegaFaceFiles, paths: tuple[str, ...], sizes: list[int]) -> Iterator[Floats]:
    """Features of the distractors, block by block; a block ends at every one of ``sizes``."""
    edges = sorted({*sizes, *range(0, len(paths), _BLOCK)})
    for start, stop in zip([0, *edges], edges, strict=False):
        if stop > start:
            yield _unit(read_features(files.distractor_features, paths[start:stop], files.suffix))


def _unit(features: Floats) -> Floats:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(length, np.finfo(np.float32).tiny), np.float32)
