"""What sigma looks like on LFW: ``python eval/sigma_look.py "$FACEUNC_DATA/lfw" --out eval/results [--backbone SPEC]``.

Distribution of log_var for clean and degraded faces, spread over dimensions, sigma against severity, face size,
sharpness, norm, pose and light, and faces at the quantiles of sigma. Heads are cross-fitted: every person is seen by
the head that never met them. Writes ``sigma-look-lfw`` (with the backbone's name behind it when that is not dlib's) as
JSON, table and picture.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from faceunc.audit.sheets import Tile, sheet
from faceunc.audit.summary import SHARES
from faceunc.embeddings import harmonic_log_var
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.images.align import align_face
from faceunc.images.measures import measure_face, pose
from faceunc.images.read import read_image
from faceunc.images.views import View
from faceunc.plots.audit import plot_against, plot_dimensions, plot_log_var, plot_severity
from faceunc.progress import bar
from faceunc.protocols.lfw import read_pairs
from faceunc.provenance import provenance
from faceunc.storage import atomic_path, atomic_write
from faceunc.training.collapse import rank_correlation

MEASURED = 3000  # photographs whose pixels are measured anew
COLUMNS = 12
DEGRADED = View(mix_seed=TEST_SEEDS[0])
Floats = NDArray[np.float64]
WORDS = {
    "sharpness": "sharpness (variance of the Laplacian)",
    "blur": "perceptual blur",
    "face size": "face size (pixels)",
    "norm": "length of the raw embedding",
    "yaw": "nose off the middle (|yaw|)",
    "pitch": "nose between eyes (0) and mouth (1)",
    "brightness": "mean brightness",
    "contrast": "contrast",
    "noise": "noise (grey levels)",
}


def measures(bench: Bench) -> dict[str, Floats]:
    """Measures of all photographs as they are, NaN where there is none (no face; pixels: all but 3,000 photographs)."""
    source = bench.source
    features, landmarks = source.features([View()])[View()], source.landmarks
    poses = np.array([pose(points) for points in landmarks.points])
    found = {
        "sharpness": np.asarray(features.sharpness, np.float64),
        "face size": landmarks.face_size.astype(np.float64),
        "norm": np.asarray(features.norm, np.float64),
        "yaw": np.abs(poses[:, 0]),
        "pitch": poses[:, 1],
    }
    names = ("blur", "brightness", "contrast", "noise")
    pixels = np.full((len(names), len(source.photos)), np.nan)
    usable = np.flatnonzero(landmarks.state == 0)
    rows = np.random.default_rng(0).permutation(usable)[:MEASURED]
    progress = bar("measure", len(rows))
    for row in rows:
        one = measure_face(read_image(source.photos.paths[row]), landmarks.points[row])
        pixels[:, row] = [getattr(one, name) for name in names]
        progress.update(1)
    found.update(zip(names, pixels, strict=True))
    return {name: np.where(landmarks.state == 0, found[name], np.nan) for name in WORDS}


def severities(bench: Bench, head: str) -> dict[str, tuple[Floats, Floats]]:
    """kind -> (severity, sigma) of the degraded views of all photographs in which a face was found."""
    usable = np.flatnonzero(bench.source.landmarks.state == 0)
    names = [bench.source.photos.ids[row] for row in usable]
    views = [View(mix_seed=seed) for seed in TEST_SEEDS]
    how = [view.degradation(name) for view in views for name in names]
    sigma = np.concatenate([bench.embeddings(view, head, usable).sigma for view in views]).astype(np.float64)
    kind, severity = np.array([h.kind for h in how]), np.array([h.severity for h in how])
    return {name: (severity[kind == name], sigma[kind == name]) for name in sorted(set(kind.tolist()))}


def figures(bench: Bench, head: str, measured: dict[str, Floats]) -> dict[str, Any]:
    """All figures of one head."""
    usable = bench.source.landmarks.state == 0
    clean, worse = (bench.embeddings(view, head) for view in (View(), DEGRADED))
    by_kind = severities(bench, head)
    every = tuple(np.concatenate(parts) for parts in zip(*by_kind.values(), strict=True))
    log_var = {"clean": clean.log_var[usable], "degraded": worse.log_var[usable]}
    edges = np.linspace(0, 1, 6)
    return {
        "log_var": {
            name: {f"{share:.0%}": float(v) for share, v in zip(SHARES, np.quantile(value, SHARES), strict=True)}
            for name, value in {name: harmonic_log_var(values) for name, values in log_var.items()}.items()
        },
        "spread over dimensions": {
            name: {
                "within a photograph": float(np.median(values.std(axis=1))),
                "between photographs": float(harmonic_log_var(values).std()),
            }
            for name, values in log_var.items()
            if values.shape[1] > 1
        },
        "rank correlation of sigma, clean": {
            name: {"photographs": int(np.isfinite(values).sum()), "rho": rank_correlation(clean.sigma, values)}
            for name, values in measured.items()
        },
        "severity": {
            name: {
                "rank correlation": rank_correlation(sigma, severity),
                **{
                    f"sigma {low:.1f}-{high:.1f}": float(np.median(sigma[(severity >= low) & (severity <= high)]))
                    for low, high in pairwise(edges)
                },
            }
            for name, (severity, sigma) in {"all kinds": every, **by_kind}.items()
        },
    }


def faces(bench: Bench, head: str) -> list[tuple[str, list[Tile]]]:
    """Rows of faces: the lowest and highest sigma of clean photographs, and around quantiles of clean and degraded."""
    usable = np.flatnonzero(bench.source.landmarks.state == 0)
    pool = [(view, int(row)) for view in (View(), DEGRADED) for row in usable]
    sigma = np.concatenate([bench.embeddings(view, head, usable).sigma for view in (View(), DEGRADED)])
    clean = np.argsort(sigma[: len(usable)])
    order = np.argsort(sigma)
    rows = [("lowest sigma of the clean photographs", clean[:COLUMNS])]
    for share in SHARES:
        start = min(max(0, round(share * len(order)) - COLUMNS // 2), len(order) - COLUMNS)
        rows.append((f"{share:.0%} of clean and degraded are below", order[start : start + COLUMNS]))
    rows.append(("highest sigma of the clean photographs", clean[::-1][:COLUMNS]))
    return [(title, [_tile(bench, *pool[place], float(sigma[place])) for place in places]) for title, places in rows]


def _tile(bench: Bench, view: View, row: int, sigma: float) -> Tile:
    source, spec = bench.source, bench.source.backbone.spec
    image = read_image(source.photos.paths[row])
    chip = align_face(image, source.landmarks.points[row], spec.template, spec.input_size)
    return Tile(view.apply(chip, source.photos.ids[row]), f"sigma {sigma:.4f}")


def draw(bench: Bench, head: str, measured: dict[str, Floats], found: dict[str, Any], path: Path) -> None:
    """Distributions and severity, sigma against nine measures, and the contact sheet."""
    from matplotlib.figure import Figure

    usable = bench.source.landmarks.state == 0
    clean, worse = (bench.embeddings(view, head) for view in (View(), DEGRADED))
    picture = sheet(faces(bench, head))
    figure = Figure(figsize=(13.5, 32), layout="constrained")
    axes = figure.subplots(5, 3, height_ratios=(1, 1, 1, 1, 3.9))
    groups = {"clean": clean, "degraded": worse}
    limit = float(np.quantile(clean.sigma[usable], 0.95))
    by_group = {name: harmonic_log_var(e.log_var[usable]) for name, e in groups.items()}
    plot_log_var(by_group, limit, axes[0, 0], "95% of the clean")
    if clean.log_var.shape[1] > 1:
        plot_dimensions(clean.log_var[usable].astype(np.float64), axes[0, 1])
        axes[0, 1].set_title("clean faces", fontsize=10)
    plot_severity(severities(bench, head), axes[0, 2])
    for ax, (name, values) in zip(axes[1:4].ravel(), measured.items(), strict=True):
        correlation = found["rank correlation of sigma, clean"][name]["rho"]
        sigma = clean.sigma.astype(np.float64)
        plot_against(sigma, values, WORDS[name], correlation, ax, name in ("sharpness", "noise"))
    for ax in axes[4, 1:]:
        ax.remove()
    axes[4, 0].set_subplotspec(axes[4, 0].get_gridspec()[4, :])
    axes[4, 0].imshow(np.asarray(picture))
    axes[4, 0].axis("off")
    name = bench.source.backbone.spec.name
    figure.suptitle(
        f"sigma on LFW, backbone {name}, {head} head, cross-fitted: clean photographs unless it says degraded"
    )
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png")


def table(report: dict[str, Any]) -> str:
    """For a terminal."""
    text = [f"what sigma looks like on LFW, backbone {report['backbone']}, cross-fitted heads"]
    for head, found in report["heads"].items():
        for title in ("rank correlation of sigma, clean", "severity", "log_var", "spread over dimensions"):
            rows = [{"": name, **row} for name, row in found[title].items()]
            if rows:
                text += ["", f"{title} ({head})", tabulate(rows, headers="keys", floatfmt=".4f")]
    return "\n".join(text)


def main() -> None:
    """Measure, print, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of LFW")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--backbone", default="dlib", help="dlib, or an ONNX spec")
    args = parser.parse_args()
    bench = folder_bench(EvalOptions(args.data, args.backbone), read_pairs(args.data / "pairs.txt"))
    bench.prepare([View(), *(View(mix_seed=seed) for seed in TEST_SEEDS)])
    measured = measures(bench)
    name = bench.source.backbone.spec.name
    more = "" if args.backbone == "dlib" else f" --backbone {args.backbone}"
    report = {
        "backbone": name,
        "heads": {head: figures(bench, head, measured) for head in bench.head_names},
        "provenance": provenance() | {"command": f"python eval/sigma_look.py {args.data.name} --out {args.out}{more}"},
    }
    path = args.out / f"sigma-look-lfw{'' if args.backbone == 'dlib' else '-' + name.split('-')[-1]}.json"
    print(table(report))
    atomic_write(path, (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    atomic_write(path.with_suffix(".txt"), (table(report) + "\n").encode())
    head = bench.head_names[0]
    draw(bench, head, measured, report["heads"][head], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
