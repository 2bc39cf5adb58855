"""Speed of the whole way from JPEG files to a stored result.

    python eval/speed_extraction.py LFW --json OUT.json
    python eval/speed_extraction.py LFW --json eval/results/speed-extraction-detectors.json --images 600 --table sizes

Every pipeline reads its files itself and writes its result to disk; all take turns in one run, and a figure is the
median over the rounds. Ours embeds all photographs in every round; a peer takes another quarter of them in each.

- plain: facenet-pytorch as its README uses it: ``MTCNN()`` with its own defaults (``min_face_size=20``) on lists of 40
  PIL photographs of one size, ``torch.stack`` of the crops into InceptionResnetV1, ``no_grad``, torch's own number of
  threads. The weights of InceptionResnetV1 are drawn at random: the same arithmetic without a download.
- plain 40: the same with ``min_face_size=40``, which is ours.
- face_recognition: ``face_locations`` (HOG) and ``face_encodings`` (dlib's network) with their defaults, photograph by
  photograph in one process: it knows neither batches nor threads.
- faceunc: ``faceunc.extract.extract`` with the shipped head and default options. It stores variances and the measured
  flaws of every photograph as well.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from speed_extraction_detectors import TABLES, spread, store
from speed_extraction_detectors import detector_table as detector_table
from speed_extraction_peers import BATCH, Pipeline, face_recognition_pipeline, plain_detections, plain_pipeline

import faceunc
from faceunc.extract import extract
from faceunc.images.detect import DETECTORS, FaceDetector
from faceunc.images.detect_agreement import compare_detections
from faceunc.images.photos import identity_folder
from faceunc.images.read import read_image
from faceunc.provenance import provenance
from faceunc.threads import in_order, one_thread

ROUNDS = 4
CHIPS = 2_048
SKIPPED = "skipped: not installed"
Pixels = NDArray[np.uint8]


def our_pipeline(**options: Any) -> Pipeline:
    """faceunc, into a folder of its own each time."""
    embedder = faceunc.load(**options)

    def run(paths: Sequence[Path], out: Path) -> None:
        extract(embedder, paths, out / "ours", show=False)

    return run


def rate(pipeline: Pipeline, paths: Sequence[Path]) -> float:
    """Photographs a second of one run."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        pipeline(paths, Path(out))
        return len(paths) / (time.perf_counter() - start)


def pipeline_rates(paths: Sequence[Path]) -> dict[str, float | str]:
    """Median photographs a second of all pipelines, which take turns."""
    ours = {"faceunc": our_pipeline()}
    ours |= {f"faceunc, {kind}": our_pipeline(detector=kind) for kind in DETECTORS if kind != "mtcnn"}
    peers = {"plain": plain_pipeline(), "plain 40": plain_pipeline(min_face_size=40)}
    other = face_recognition_pipeline()
    if other is not None:
        peers["face_recognition"] = other
    for pipeline in (*ours.values(), *peers.values()):
        rate(pipeline, paths[:BATCH] if pipeline is not other else paths[:4])
    rates: dict[str, list[float]] = {name: [] for name in (*ours, *peers)}
    for turn in range(ROUNDS):
        for name, pipeline in ours.items():
            rates[name].append(rate(pipeline, paths))
        for name, pipeline in peers.items():
            rates[name].append(rate(pipeline, paths[turn::ROUNDS]))
    missing: dict[str, float | str] = {} if other is not None else {"face_recognition": SKIPPED}
    return {name: median(values) for name, values in rates.items()} | missing


def chip_figures(photos: Sequence[Pixels]) -> dict[str, float]:
    """Aligned chips a second: from JPEG files to a stored result, with the measured flaws and without; from arrays to
    embeddings. The chips are taken several times: with few, how a run starts and ends would count for much."""
    chips = np.stack([chip for batch in faceunc.load().batches(list(photos)) for chip in batch.chips])
    chips = np.concatenate([chips] * -(-CHIPS // len(chips)))[:CHIPS]
    embedder = faceunc.load(aligned=True)
    ways = {
        "chips/s, files to result": our_pipeline(aligned=True),
        "chips/s, files to result, --no-measures": our_pipeline(aligned=True, measure=False),
    }
    with tempfile.TemporaryDirectory() as folder:
        paths = write_chips(chips, Path(folder))
        rounds = [{way: rate(pipeline, paths) for way, pipeline in ways.items()} for _ in range(ROUNDS + 1)][1:]
        arrays = [len(chips) / clock(lambda: embed_side_by_side(embedder, chips)) for _ in range(ROUNDS + 1)]
    share = {"head's share of embedding": head_share(embedder, chips[:32])}
    files = {way: median(one[way] for one in rounds) for way in ways}
    return files | {"chips/s, arrays to embeddings": median(arrays[1:])} | share


def head_share(embedder: faceunc.Embedder, chips: Pixels) -> float:
    """Seconds of the variance head over those of the backbone on the same batch, one thread, as a worker runs them."""
    head = embedder.head.head

    @torch.no_grad()
    def look() -> None:
        head.embed(head.pool(output.feature_map, output.norm), output.mean)

    with one_thread():
        output = embedder.backbone(chips)
        pairs = [(clock(look), clock(lambda: embedder.backbone(chips))) for _ in range(17)][2:]
    return median(one for one, _ in pairs) / median(two for _, two in pairs)


def write_chips(chips: Pixels, folder: Path) -> list[Path]:
    """Every chip as a JPEG file."""
    paths = [folder / f"{number:06d}.jpg" for number in range(len(chips))]
    for path, chip in zip(paths, chips, strict=True):
        Image.fromarray(chip).save(path, quality=95)
    return paths


def embed_side_by_side(embedder: faceunc.Embedder, chips: Pixels) -> None:
    """Embed in batches of 32, one a thread, as extraction does."""
    parts = (chips[start : start + 32] for start in range(0, len(chips), 32))
    for _ in in_order(lambda part: embedder.embed_chips(part, [str(row) for row in range(len(part))]), parts):
        pass


def clock(work: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(data: Path, images: int = 512) -> dict[str, Any]:
    """All figures of LFW's folder, JSON-ready: images a second by pipeline, ratios, agreement, chips."""
    paths = spread(identity_folder(data).paths, images)
    photos = [read_image(path) for path in paths]
    rates = pipeline_rates(paths)
    ratios = {
        f"{ours} / {peer}": rates[ours] / rates[peer] if not isinstance(rates[peer], str) else SKIPPED
        for ours in rates
        if ours.startswith("faceunc")
        for peer in ("plain", "plain 40", "face_recognition")
    }
    plain = plain_detections(photos, 40)
    agreement = {kind: compare_detections(plain, FaceDetector(kind=kind)(photos)).figures() for kind in DETECTORS}
    return {
        "images": len(paths),
        "threads": torch.get_num_threads(),
        "images/s": rates,
        "ratios": ratios,
        "agreement with plain MTCNN, min face 40": agreement,
        "chips": chip_figures(photos),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="LFW's folder")
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--table", choices=TABLES, help="instead: a table of the detectors, into a file of all of them")
    args = parser.parse_args()
    paths = identity_folder(args.data).paths
    more = f" --table {args.table}" if args.table else ""
    command = f"python eval/speed_extraction.py {args.data} --json {args.json} --images {args.images}{more}"
    source = {**provenance(), "command": command}
    if args.table:
        print(store(args.json, args.table, TABLES[args.table](paths, args.images), source))
        return
    figures = measure(args.data, args.images)
    args.json.write_text(json.dumps({**figures, "provenance": source}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
