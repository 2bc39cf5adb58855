"""IJB-C's size on this machine: pooling, 15.7 million comparisons, all figures, a 1:N search; and how others do it.

``python eval/ijbc_scale.py --json eval/results/ijbc-scale.json`` makes synthetic embeddings of IJB-C's shape (469,375
images, 23,124 templates, 15,658,489 pairs, 19,557 genuine; 20,000 probes against 3,500 gallery templates) at D = 128
and 512, and measures seconds and peak memory of each step, each dimension in a process of its own that opens a stored
file. The peers are plain rewrites of the loops of insightface's and PFE's evaluation scripts: the first runs in full,
of the second's loop over pairs a stated share is run and scaled to all. They do less: one pooling and one score each,
no search. Nothing here says anything about faces.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from faceunc.embeddings import Embeddings, harmonic_log_var
from faceunc.metrics.calibration import brier, expected_calibration_error, nll
from faceunc.metrics.identification import cmc, join, search_block, tpir_at_fpir
from faceunc.metrics.ood import aupr, auroc, fpr95
from faceunc.metrics.rejection import edc_fixed, edc_rechosen
from faceunc.metrics.selective import aurc
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.provenance import provenance
from faceunc.scoring.fusion import POSTERIORS
from faceunc.scoring.indexed import score_all, score_indexed
from faceunc.scoring.pooling import Pooling, pool_stored

IMAGES, TEMPLATES, PAIRS, GENUINE, SUBJECTS = 469_375, 23_124, 15_658_489, 19_557, 3_531
PROBES, GALLERY = 20_000, 3_500
PFE_PAIRS = 100_000
COMPARED = {"mean of media": "cosine", "inverse variance, media, bayes": "mls"}
TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
Ints = NDArray[np.int64]


def protocol() -> dict[str, NDArray[Any]]:
    """Template, medium, weights of every image; subject of every template; the pairs, sorted by their first side."""
    rng = np.random.default_rng(0)
    subject = np.concatenate([np.arange(SUBJECTS), rng.integers(0, SUBJECTS, TEMPLATES - SUBJECTS)])
    template = np.sort(np.concatenate([np.arange(TEMPLATES), rng.integers(0, TEMPLATES, IMAGES - TEMPLATES)]))
    probes = np.arange(SUBJECTS, TEMPLATES)
    genuine = rng.choice(probes, GENUINE, replace=False)
    first = np.concatenate([subject[genuine], rng.integers(0, SUBJECTS, PAIRS - GENUINE)])
    others = rng.choice(probes, PAIRS - GENUINE)
    while (own := subject[others] == first[GENUINE:]).any():
        others[own] = rng.choice(probes, int(own.sum()))
    second = np.concatenate([genuine, others])
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    return {
        "template": template,
        "media": template * 40 + rng.integers(0, 6, IMAGES),
        "norm": rng.uniform(10, 30, IMAGES).astype(np.float32),
        "detector": rng.uniform(0.5, 1, IMAGES).astype(np.float32),
        "subject": subject,
        "first": first.astype(np.int32),
        "second": second.astype(np.int32),
        "same": subject[first] == subject[second],
    }


def store(path: Path, dim: int) -> None:
    """Synthetic embeddings: a centre for every subject, noise of each image's own size, which log_var knows."""
    made, rng = protocol(), np.random.default_rng(dim)
    centre = rng.normal(size=(SUBJECTS, dim)).astype(np.float32) / np.float32(np.sqrt(dim))
    log_var = rng.normal(np.log(2.0 / dim), 1.0, (IMAGES, 1)).astype(np.float32)
    log_var = log_var + 0.2 * rng.standard_normal((IMAGES, dim), np.float32)
    mean = centre[made["subject"][made["template"]]]
    mean += np.exp(0.5 * log_var) * rng.standard_normal((IMAGES, dim), np.float32)
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    Embeddings(mean, log_var, [f"{row}.jpg" for row in range(IMAGES)], meta={"backbone": "synthetic"}).save(path)


def poolings() -> dict[str, tuple[Pooling, str]]:
    """Every pooling that is timed, and the weight that it uses."""
    plain = {
        "mean of images": (Pooling("equal"), ""),
        "mean of media": (Pooling("equal", media=True), ""),
        "mean of media x norm": (Pooling("equal", media=True), "norm"),
        "mean of media x detector score": (Pooling("equal", media=True), "detector"),
    }
    fused = {f"inverse variance, {name}": (Pooling(posterior=name, rho=0.1), "") for name in POSTERIORS}
    return plain | fused | {"inverse variance, media, bayes": (Pooling(media=True), "")}


def ours(path: Path) -> dict[str, Any]:
    """All of it with this package, from a stored file; seconds a step and the peak memory of the process."""
    seconds: dict[str, float] = {}
    made = protocol()
    start = time.perf_counter()
    pooled = pool_all(path, made, seconds)
    figures = {}
    for kind in list(pooled):
        templates = pooled.pop(kind)
        scores = timed(seconds, f"pairs: {kind}", score_indexed, templates, made["first"], made["second"], kind)
        figures[kind] = timed(seconds, f"figures: {kind}", verification, scores, made["same"])
        if kind == "mls":
            figures[kind] |= others(seconds, scores, made, harmonic_log_var(templates.log_var))
        del scores
        figures[kind] |= timed(seconds, f"search 1:N: {kind}", search, templates, made["subject"], kind)
    total = time.perf_counter() - start
    return {"seconds": {**seconds, "total": total}, "peak memory, GiB": peak_memory(), "figures": figures}


def pool_all(path: Path, made: dict[str, NDArray[Any]], seconds: dict[str, float]) -> dict[str, Embeddings]:
    """Pool the stored images in every way, a piece of the file at a time; return the two that are compared."""
    kept = {}
    for name, (pooling, weight) in poolings().items():
        weights = made[weight] if weight else None
        pooled = timed(seconds, f"pool: {name}", pool_stored, path, made["template"], pooling, made["media"], weights)
        kept |= {COMPARED[name]: pooled} if name in COMPARED else {}
    return kept


def verification(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> dict[str, float]:
    """TAR at every FAR, EER, a curve of 2,000 points."""
    ordered = sort_scores(scores, same)
    ordered.curve()
    tars = {f"TAR@FAR {target:g}": ordered.tar_at_far(target).tar for target in TARGETS}
    return {**tars, "eer": ordered.equal_error_rate()}


def others(
    seconds: dict[str, float], scores: NDArray[np.float32], made: dict[str, NDArray[Any]], log_var: NDArray[Any]
) -> dict[str, float]:
    """The other kinds of figures over all 15.7 million comparisons (the bootstrap repeats any of them)."""
    same = made["same"]
    quality = -np.maximum(log_var[made["first"]], log_var[made["second"]]).astype(np.float32)
    ordered = sort_scores(scores, same)
    threshold = np.float32(ordered.tar_at_far(1e-4).threshold)
    fractions = np.linspace(0.0, 0.5, 11)
    again = timed(seconds, "figures: EDC, re-chosen", edc_rechosen, scores, same, quality, 1e-4, fractions)
    fixed = timed(seconds, "figures: EDC, fixed", edc_fixed, scores[same], quality[same], float(threshold))
    wrong = (scores >= threshold) != same
    area = timed(seconds, "figures: AURC", aurc, wrong, quality)
    del wrong, quality
    probability = 1.0 / (1.0 + np.exp(np.clip((threshold - scores) / np.float32(10.0), -30, 30)))
    return {
        "FNMR, half discarded, re-chosen": float(again.error[-1]),
        "FNMR, half discarded, fixed": float(fixed.error[len(fixed.error) // 2]),
        "AURC": area,
        "ECE": timed(seconds, "figures: ECE", expected_calibration_error, probability, same),
        "Brier": timed(seconds, "figures: Brier", brier, probability, same),
        "NLL": timed(seconds, "figures: NLL", nll, probability, same),
        "AUROC": timed(seconds, "figures: AUROC", auroc, scores, same),
        "AUPR": timed(seconds, "figures: AUPR", aupr, scores, same),
        "FPR95": timed(seconds, "figures: FPR95", fpr95, scores, same),
    }


def search(pooled: Embeddings, subject: Ints, kind: str) -> dict[str, float]:
    """20,000 probes (some templates come twice) in a gallery of 3,500, block by block."""
    gallery = np.arange(GALLERY)
    probes = np.resize(np.arange(SUBJECTS, TEMPLATES), PROBES)
    found = [
        search_block(score_all(pooled, part, gallery, kind), subject[part], subject[gallery])
        for part in np.array_split(probes, PROBES // 500)
    ]
    result = join(found)
    return {"rank-1": cmc(result)[1], "TPIR@FPIR 0.01": tpir_at_fpir(result, 0.01).tpir}


def insightface(path: Path) -> dict[str, Any]:
    """The way of insightface's script: features in memory, a loop over templates, blocks of pairs."""
    made = protocol()
    seconds: dict[str, float] = {}
    features = np.array(Embeddings.load(path).mean)
    pooled = timed(seconds, "insightface: pool by media", insightface_templates, features, made)
    scores = timed(seconds, "insightface: pairs, cosine", insightface_pairs, pooled, made["first"], made["second"])
    timed(seconds, "insightface: ROC (scikit-learn)", roc_curve, made["same"], scores)
    return {"seconds": seconds, "peak memory, GiB": peak_memory(), "measured share": 1.0}


def insightface_templates(features: NDArray[np.float32], made: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """For every template: find its rows in the whole list, average inside each medium, add; normalise at the end."""
    pooled = np.zeros((TEMPLATES, features.shape[1]), np.float32)
    for template in range(TEMPLATES):
        (rows,) = np.where(made["template"] == template)
        own, media = features[rows], made["media"][rows]
        parts = []
        for medium, count in zip(*np.unique(media, return_counts=True), strict=True):
            (inside,) = np.where(media == medium)
            parts.append(own[inside] if count == 1 else own[inside].mean(0, keepdims=True))
        pooled[template] = np.concatenate(parts).sum(0)
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def insightface_pairs(mean: NDArray[np.float32], first: Ints, second: Ints) -> NDArray[np.float32]:
    """Blocks of 100,000 gathered pairs."""
    blocks = range(0, len(first), 100_000)
    return np.concatenate([(mean[first[b : b + 100_000]] * mean[second[b : b + 100_000]]).sum(-1) for b in blocks])


def pfe(path: Path) -> dict[str, Any]:
    """PFE's way: means and variances in memory, templates fused one by one, likelihoods pair by pair (on a part)."""
    made = protocol()
    seconds: dict[str, float] = {}
    images = Embeddings.load(path)
    mean, variance = np.array(images.mean), np.exp(images.log_var)
    bounds = np.searchsorted(made["template"], np.arange(TEMPLATES + 1))
    fused = timed(seconds, "PFE: fuse", pfe_templates, mean, variance, bounds)
    first, second = made["first"][:PFE_PAIRS], made["second"][:PFE_PAIRS]
    timed(seconds, "PFE: pairs, MLS, one by one", pfe_pairs, *fused, first, second)
    seconds["PFE: pairs, MLS, one by one"] *= PAIRS / PFE_PAIRS
    return {"seconds": seconds, "peak memory, GiB": peak_memory(), "measured share of pairs": PFE_PAIRS / PAIRS}


def pfe_templates(mean: NDArray[np.float32], variance: NDArray[np.float32], bounds: Ints) -> tuple[Any, Any]:
    """Inverse-variance fusion of one template after the other; the least variance is the template's."""
    fused, least = [], []
    for start, stop in itertools.pairwise(bounds):
        inverse = 1.0 / variance[start:stop]
        total = (mean[start:stop] * inverse).sum(0) / inverse.sum(0)
        fused.append(total / np.linalg.norm(total))
        least.append(variance[start:stop].min(0))
    return np.array(fused), np.array(least)


def pfe_pairs(mean: NDArray[np.float32], variance: NDArray[np.float32], first: Ints, second: Ints) -> list[float]:
    """The likelihood of one pair after the other."""
    scores = []
    for i, j in zip(first, second, strict=True):
        total = variance[i] + variance[j]
        scores.append(-float(((mean[i] - mean[j]) ** 2 / total + np.log(total)).sum()))
    return scores


def peak_memory() -> float:
    """GiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def timed(seconds: dict[str, float], name: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Do it, and note how long it took."""
    start = time.perf_counter()
    result = work(*arguments)
    seconds[name] = time.perf_counter() - start
    print(f"  {name:50s} {seconds[name]:8.2f} s", flush=True)
    return result


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """Run it in a process of its own, so that its peak memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def save_figure(results: dict[str, Any], path: Path) -> None:
    """Seconds of every step, ours and theirs, one panel a dimension."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6), layout="constrained")
    axes = figure.subplots(1, len(results))
    for ax, (dim, both) in zip(axes, results.items(), strict=True):
        own = {k: v for k, v in both["ours"]["seconds"].items() if k != "total"}
        bars = {**own, **both["insightface"]["seconds"], **both["pfe"]["seconds"]}
        colours = ["tab:blue"] * len(own) + ["tab:orange"] * (len(bars) - len(own))
        ax.barh(list(bars), list(bars.values()), color=colours)
        ax.invert_yaxis()
        ax.set(
            xscale="log",
            xlabel="seconds for all of IJB-C's size",
            title=f"D = {dim}: all of ours in "
            f"{both['ours']['seconds']['total']:.0f} s, {both['ours']['peak memory, GiB']:.2f} GiB",
        )
        ax.grid(alpha=0.3, axis="x")
    figure.savefig(path, dpi=110, format="png")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--dims", type=int, nargs="+", default=[128, 512])
    args = parser.parse_args()
    results: dict[str, Any] = {}
    for dim in args.dims:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "images.safetensors"
            print(f"D = {dim}: making {path}", flush=True)
            alone(store, path, dim)
            results[str(dim)] = {work.__name__: alone(work, path) for work in (ours, insightface, pfe)}
        for who, result in results[str(dim)].items():
            print(f"  {who}: peak memory {result['peak memory, GiB']:.2f} GiB")
    source = {**provenance(), "command": f"python eval/ijbc_scale.py --json {args.json}"}
    shape = {"images": IMAGES, "templates": TEMPLATES, "pairs": PAIRS, "probes": PROBES, "gallery": GALLERY}
    args.json.write_text(json.dumps({"shape": shape, "by dimension": results, "provenance": source}, indent=1) + "\n")
    save_figure(results, args.json.with_suffix(".png"))


if __name__ == "__main__":
    main()
