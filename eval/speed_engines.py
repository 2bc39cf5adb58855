"""Engines on LFW: ``python eval/speed_engines.py LFW --json eval/results/speed-engines.json``.

Every engine that this machine has, measured in one run with the shipped per-dimension head: aligned chips a second of
batches of 32 side by side, as ``faceunc embed`` runs them, and milliseconds of one chip (medians of interleaved rounds
after warm-up, with quartiles), the ratio to torch in float32, and the largest difference to it over 256 photographs of
LFW, each clean and degraded by the standard mix. For dlib's network the arithmetic of one chip, the matrix products
that this machine reaches and so the share of its limit.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from faceunc.backbones.base import TorchBackbone
from faceunc.backbones.registry import load_backbone
from faceunc.backbones.spec import BackboneSpec
from faceunc.engines.bench import run_bench
from faceunc.engines.bench_text import bench_text
from faceunc.engines.names import ENGINES
from faceunc.heads.shipped import head_path
from faceunc.heads.store import load_head
from faceunc.images.align import align_face
from faceunc.images.degrade import degrade, draw_degradation
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image
from faceunc.provenance import provenance
from faceunc.storage import cache_dir

HEAD, BATCH, PHOTOS, SECONDS, SEED = "dlib-pfe", 32, 256, 3.0, 7


def lfw_chips(data: Path, spec: BackboneSpec, count: int = PHOTOS) -> NDArray[np.uint8]:
    """``count`` photographs spread over the folder, aligned by detected landmarks, each clean and then degraded."""
    photos = identity_folder(data)
    points = find_landmarks(photos, FaceDetector("central"), cache_dir()).points
    chips = []
    for row in range(0, len(photos), len(photos) // count)[:count]:
        chip = align_face(read_image(photos.paths[row]), points[row], spec.template, spec.input_size)
        chips += [chip, degrade(chip, draw_degradation(SEED, photos.ids[row]))]
    return np.stack(chips)


def operations(backbone: TorchBackbone) -> float:
    """Multiplications and additions of the convolutions for one chip."""
    total = [0.0]

    def count(conv: nn.Module, _: object, output: torch.Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        total[0] += 2.0 * output[0].numel() * conv.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in backbone.module.modules() if isinstance(m, nn.Conv2d)]
    side = backbone.spec.input_size
    backbone(np.zeros((1, side, side, 3), np.uint8))
    for hook in hooks:
        hook.remove()
    return total[0]


def matrix_rate(kind: torch.dtype, size: int = 1024, repeats: int = 20) -> float:
    """Operations a second of a square matrix product."""
    matrix, times = torch.randn(size, size).to(kind), []
    for repeat in range(repeats + 3):
        start = time.perf_counter()
        _ = matrix @ matrix
        if repeat >= 3:
            times.append(time.perf_counter() - start)
    return 2.0 * size**3 / median(times)


def measure(data: Path, names: tuple[str, ...] = tuple(ENGINES), seconds: float = SECONDS) -> dict[str, Any]:
    """JSON-ready figures of all engines over chips of LFW."""
    head = load_head(head_path(HEAD))
    backbone = load_backbone(head.backbone, "float32")
    assert isinstance(backbone, TorchBackbone)
    chips = lfw_chips(data, backbone.spec)
    result = run_bench(head, backbone, chips, BATCH, seconds, names)
    print(bench_text(result))
    work = operations(backbone)
    limits = {str(kind)[6:]: matrix_rate(kind) / work for kind in (torch.float32, torch.bfloat16)}
    values = result.to_dict()
    for row in values["engines"].values():
        row["times a matrix product's rate"] = row["chips_per_second"] / limits[row["precision"]]
    return {**values, "operations a chip": work, "chips a second at the matrix product's rate": limits}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    source = {**provenance(), "command": f"python eval/speed_engines.py {args.data} --json {args.json}"}
    figures = measure(args.data)
    args.json.write_text(json.dumps({**figures, "provenance": source}, indent=1) + "\n")


if __name__ == "__main__":
    main()
