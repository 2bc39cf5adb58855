"""Speed of embedding aligned chips and of training: ``python eval/speed.py LFW --json eval/results/speed.json``.

Medians after warm-up, all in one run: chips a second of the dlib backbone in float32 and (where the processor has it)
bfloat16, the share that the variance head adds, the agreement of both precisions, and the seconds that both
cross-fitted heads take from cached features.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch

from faceunc.backbones.dlib_resnet import load_dlib_resnet
from faceunc.backbones.precision import agreement, has_fast_bfloat16
from faceunc.evaluation.setup import Bench, EvalOptions, folder_bench
from faceunc.heads.pfe import PFEConfig, PFEHead
from faceunc.images.align import align_face
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image
from faceunc.protocols.lfw import read_pairs
from faceunc.provenance import provenance
from faceunc.training.data import TRAIN_VIEWS, training_data
from faceunc.training.loop import TrainOptions, train_head

BATCH, REPEATS = 32, 15


def seconds(work: Callable[[], object]) -> float:
    """Median of REPEATS after two calls to warm up."""
    times = []
    for repeat in range(REPEATS + 2):
        start = time.perf_counter()
        work()
        if repeat >= 2:
            times.append(time.perf_counter() - start)
    return median(times)


def embedding_speed(bench: Bench) -> dict[str, float]:
    """Chips a second by precision, and what the head adds."""
    photos = identity_folder(bench.options.data)
    spec, points = bench.source.backbone.spec, bench.source.landmarks.points
    rows = range(0, len(photos), len(photos) // BATCH)[:BATCH]
    chips = np.stack([align_face(read_image(photos.paths[i]), points[i], spec.template, spec.input_size) for i in rows])
    figures: dict[str, float] = {}
    for precision in ("float32", "bfloat16") if has_fast_bfloat16() else ("float32",):
        backbone = load_dlib_resnet(precision=precision)
        alone = seconds(lambda b=backbone: b(chips))
        figures[f"chips a second, {precision}"] = len(chips) / alone
        feature_map = backbone(chips).feature_map
        for variance, fit in bench.heads.items():
            head = fit.heads[0].head
            with torch.no_grad():
                extra = seconds(lambda h=head, f=feature_map: h(f))
            figures[f"head {variance} adds, {precision}"] = extra / alone
    figures["least cosine of bfloat16 to float32"] = agreement(load_dlib_resnet(precision="float32"))
    return figures


def training_seconds(bench: Bench) -> dict[str, float]:
    """Seconds to load cached features and train both cross-fitted heads."""
    spec, names = bench.source.backbone.spec, np.array(bench.source.photos.identities)
    figures = {}
    for variance in bench.variances:
        config = PFEConfig(spec.feature_shape, spec.dim, variance=variance)
        start = time.perf_counter()
        data = training_data(bench.source, TRAIN_VIEWS, PFEHead(config))
        for part in (0, 1):
            train_head(data, set(names[bench.heads[variance].part != part].tolist()), config, TrainOptions())
        figures[f"seconds to train both heads, {variance}"] = time.perf_counter() - start
    return figures


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    bench = folder_bench(EvalOptions(args.data), read_pairs(args.data / "pairs.txt"))
    figures = {**embedding_speed(bench), **training_seconds(bench)}
    source = {**provenance(), "command": f"python eval/speed.py {args.data} --json {args.json}"}
    args.json.write_text(json.dumps({"figures": figures, "batch": BATCH, "provenance": source}, indent=1) + "\n")
    for name, value in figures.items():
        print(f"{name:45s} {value:10.4f}")


if __name__ == "__main__":
    main()
