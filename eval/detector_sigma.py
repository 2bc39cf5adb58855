"""How honest are the detector's sigmas? ``python eval/detector_sigma.py LFW --json eval/results/detector-sigma.json``.

Two branches are cross-fitted by identity: every person is judged by one that never met them. Measured are coverage and
score of the intervals, sigma against degradation, and the landmark error of plain NMS and of variance voting. Nothing
is labelled: "error" is the distance to the detection on the clean photograph. A table (.txt) and a figure (.png) are
written beside the JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate

from faceunc.detection.evaluation import cross_fit_branch, interval_report, severity_report
from faceunc.detection.example_cache import cached_examples
from faceunc.detection.features import LastStage
from faceunc.detection.train import some_of_each
from faceunc.detection.training import BranchOptions
from faceunc.detection.versions import VersionOptions
from faceunc.detection.voting_bench import measure_voting, voting_report
from faceunc.images.detect import FaceDetector
from faceunc.images.landmarks import find_landmarks
from faceunc.images.photos import identity_folder
from faceunc.plots.detector_sigma import save_detector_sigma
from faceunc.provenance import provenance
from faceunc.storage import atomic_write, cache_dir

PER_PERSON = 2  # most photographs of one person in the intervals
VOTING_PER_PERSON, VOTING_VERSIONS = 1, 3


def measure(data: Path, options: BranchOptions) -> dict[str, Any]:
    """All figures."""
    photos = identity_folder(data)
    detector = FaceDetector("central")
    landmarks = find_landmarks(photos, detector, cache_dir())
    used, places = some_of_each(photos, landmarks, PER_PERSON)
    people = used.identities
    versions = VersionOptions(seed=options.seed)
    examples = cached_examples(used, places, detector.name, LastStage(), versions, cache_dir())
    fit = cross_fit_branch(examples, people, options=options)
    few, few_places = some_of_each(used, places, VOTING_PER_PERSON)
    part = fit.part[[used.index[name] for name in few.ids]]
    other = VersionOptions(versions=VOTING_VERSIONS, seed=options.seed + 1)
    rows = measure_voting(few, few_places, [f.branch for f in fit.fits], part, other)
    return {
        "people": len(set(people)),
        "photographs": len(used),
        "crops": len(examples),
        "crops found": float((examples.probability > 0.7).mean()),
        "photographs skipped": examples.skipped,
        "factors": [f.factors for f in fit.fits],
        "intervals": interval_report(examples, people, fit, options.seed),
        "severity": severity_report(examples, fit),
        "voting": voting_report(rows, few.identities, options.seed),
    }


def table(figures: Mapping[str, Any]) -> str:
    """For a terminal and the .txt."""
    text = [
        f"{figures['people']} people, {figures['photographs']} photographs, {figures['crops']} crops "
        f"({figures['crops found']:.1%} found); two branches cross-fitted by identity"
    ]
    for name, group in figures["intervals"].items():
        text.append(_intervals(name, group))
    for name, group in figures["severity"].items():
        text.append(_severity(name, group))
    text.append(_voting(figures["voting"]))
    return "\n\n".join(text) + "\n"


def _intervals(name: str, group: Mapping[str, Any]) -> str:
    levels = list(group["coverage, found"])
    spans = group["coverage, found, 95% over identities"]
    constant = "constant sigma: "

    def row(label: str, values: Mapping[str, float], digits: int = 3) -> list[str]:
        return [label, *(f"{values[level]:.{digits}f}" for level in levels)]

    rows = [
        row("coverage, found", group["coverage, found"]),
        ["- 95% over identities", *(f"{spans[level][0]:.3f}-{spans[level][1]:.3f}" for level in levels)],
        *(row(f"- found, {kind}", values) for kind, values in group["coverage by kind"].items()),
        row("coverage, all", group["coverage, all"]),
        row(f"{constant}coverage, found", group[f"{constant}coverage, found"]),
        *(row(f"- constant, {kind}", values) for kind, values in group[f"{constant}coverage by kind"].items()),
        row("interval score, % of the side", group["interval score"], 2),
        row(f"{constant}interval score", group[f"{constant}interval score"], 2),
    ]
    return tabulate(rows, headers=[name, *levels], disable_numparse=True)


def _severity(name: str, group: Mapping[str, Any]) -> str:
    kinds = ", ".join(f"{kind} {v:.2f}" for kind, v in group["rank correlation with severity by kind"].items())
    lines = [
        f"{name}: rank correlation of sigma with severity {group['rank correlation with severity']:.3f} ({kinds}), "
        f"with the error {group['rank correlation with the error']:.3f}",
        tabulate([list(row.values()) for row in group["bins"]], headers=list(group["bins"][0]), floatfmt=".2f"),
    ]
    return "\n".join(lines)


def _voting(report: Mapping[str, Any]) -> str:
    rows = []
    for source, found in report.items():
        for measure_name in ("landmark error", "1 - IoU of the box"):
            for method, value in found[measure_name].items():
                gap = found[f"{measure_name}, difference to plain NMS"].get(method)
                shown = "" if gap is None else f"{gap['mean']:+.5f} ({gap['low']:+.5f} to {gap['high']:+.5f})"
                rows.append([source, found["images"], measure_name, method, f"{value:.5f}", shown])
            gap = found[f"{measure_name}, what the variances change"]
            shown = f"{gap['mean']:+.5f} ({gap['low']:+.5f} to {gap['high']:+.5f})"
            rows.append([source, found["images"], measure_name, "- variances against equal ones", "", shown])
        rows.append([source, found["images"], "median candidates", "", f"{found['median candidates']:g}", ""])
    headers = ["candidates", "images", "measure", "method", "mean", "minus plain NMS (95% over identities)"]
    return tabulate(rows, headers=headers, disable_numparse=True)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    figures = measure(args.data, BranchOptions(seed=args.seed))
    source = {**provenance(), "command": f"python eval/detector_sigma.py {args.data} --json {args.json}"}
    atomic_write(args.json, (json.dumps({**figures, "provenance": source}, indent=1) + "\n").encode())
    atomic_write(args.json.with_suffix(".txt"), table(figures).encode())
    title = f"MTCNN with a variance branch on LFW, {figures['people']} people, cross-fitted by identity"
    reports = (figures["intervals"], figures["severity"], figures["voting"])
    save_detector_sigma(*reports, args.json.with_suffix(".png"), title)
    print(table(figures))


if __name__ == "__main__":
    main()
