"""Cost of Monte Carlo dropout: ``python eval/mc_dropout.py LFW --json eval/results/mc-dropout.json``.

Time of 100 passes as a multiple of one plain pass of the same backbone over one batch of aligned LFW chips, medians
after warm-up, plain pass and dropout measured in turn. Dropout before the bottleneck layer for every backbone, from
chips and from cached feature maps; with dlib's also after its last block, and (each pass computes one block) before it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from faceunc.backbones.base import Backbone
from faceunc.backbones.blocks import block_count
from faceunc.backbones.dlib_resnet import load_dlib_resnet
from faceunc.backbones.precision import has_fast_bfloat16
from faceunc.backbones.registry import load_backbone
from faceunc.epistemic.dropout import DropoutPlan, McDropout
from faceunc.epistemic.serfiq import serfiq_score
from faceunc.images.align import align_face, centre_landmarks
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image
from faceunc.provenance import provenance

BATCH, PASSES, WARM_UP = 64, 100, 2
ARCFACE = Path(__file__).parent / "backbones" / "mobilefacenet_arcface.json"
Works = dict[str, Callable[[], object]]


def seconds(works: Works, repeats: int) -> dict[str, float]:
    """Median of each work, all of them in turn so that a busy machine slows them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for repeat in range(repeats + WARM_UP):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if repeat >= WARM_UP:
                times[name].append(time.perf_counter() - start)
    return {name: median(values) for name, values in times.items()}


def lfw_chips(folder: Path, backbone: Backbone) -> NDArray[np.uint8]:
    """One batch, with the landmarks that a centred face has."""
    photos, spec = identity_folder(folder), backbone.spec
    images = [read_image(photos.paths[i]) for i in range(0, len(photos), len(photos) // BATCH)[:BATCH]]
    points = [centre_landmarks(image.shape[1], image.shape[0]) for image in images]
    pairs = zip(images, points, strict=True)
    return np.stack([align_face(image, where, spec.template, spec.input_size) for image, where in pairs])


def cost(backbone: Backbone, chips: NDArray[np.uint8], plans: dict[str, DropoutPlan], repeats: int) -> dict[str, float]:
    """Milliseconds of a plain pass, and every plan as a multiple of it."""
    before = McDropout(backbone, DropoutPlan(), PASSES)
    feature_map = backbone(chips).feature_map
    with torch.no_grad():
        reduced = before.tail.reduce(feature_map)
    works: Works = {
        "plain": lambda: backbone(chips),
        "before the bottleneck": lambda: before(chips),
        "before the bottleneck, feature maps cached": lambda: before.from_features(feature_map),
        "SER-FIQ score from cached inputs of the last layer": lambda: serfiq_score(reduced, before.tail.last),
        **{name: partial(McDropout(backbone, plan, PASSES), chips) for name, plan in plans.items()},
    }
    times = seconds(works, repeats)
    ratios = {f"{name}, times a plain pass": times[name] / times["plain"] for name in works if name != "plain"}
    return {"plain pass, ms": 1000.0 * times["plain"], **ratios}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    figures = {}
    for precision in ("float32", "bfloat16") if has_fast_bfloat16() else ("float32",):
        dlib = load_dlib_resnet(precision=precision)
        last = block_count(dlib)
        plans = {
            f"after block {last} of {last} and before the bottleneck": DropoutPlan((last,)),
            f"after block {last - 1} of {last} and before the bottleneck": DropoutPlan((last - 1,)),
        }
        figures[f"dlib, {precision}"] = cost(dlib, lfw_chips(args.data, dlib), plans, args.repeats)
    arcface = load_backbone(str(ARCFACE))
    figures[f"{arcface.spec.name}, float32"] = cost(arcface, lfw_chips(args.data, arcface), {}, args.repeats)
    source = {**provenance(), "command": f"python eval/mc_dropout.py {args.data} --json {args.json}"}
    result = {"figures": figures, "batch": BATCH, "passes": PASSES, "threads": torch.get_num_threads()}
    args.json.write_text(json.dumps({**result, "repeats": args.repeats, "provenance": source}, indent=1) + "\n")
    for backbone, values in figures.items():
        for name, value in values.items():
            print(f"{backbone:32s} {name:75s} {value:9.3f}")


if __name__ == "__main__":
    main()
