"""Is the diagnosis of a photograph right? ``python eval/diagnosis.py "$FACEUNC_DATA/lfw" --out eval/results``.

People of LFW who are not in the reference (``scripts/measure_reference``), their faces as they are and under every
degradation: which flaw is named first, how often the right one is among the first two, how often nothing is named for
a face as it is, and whether the likelihoods come true. Writes ``diagnosis.json``, ``.txt`` and ``.png``.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from faceunc.evaluation.diagnosis import Face, cut_samples, degraded_samples, lfw_faces, turned_faces
from faceunc.images.detect import FaceDetector
from faceunc.images.diagnose import FLAWS, NAMED, diagnose, likelihoods
from faceunc.images.diagnose_fit import BEYOND, CAUSES, Sample
from faceunc.images.measures import Measures, pose
from faceunc.metrics.calibration import expected_calibration_error
from faceunc.plots.diagnosis import save_diagnosis
from faceunc.provenance import provenance
from faceunc.storage import atomic_write
from faceunc.training.collapse import rank_correlation

SEVERITIES = (0.1, 0.3, 0.5, 0.7, 0.9)
MAIN = 0.7
SIZES = (16, 20, 24, 28, 32, 40, 60)
RIGHT = {cause: kind for kind, causes in CAUSES.items() for cause in causes}
YAW_QUANTILES = (0.002, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.998)


def named(measures: Sequence[Measures], right: str | None) -> dict[str, Any]:
    """Shares of these faces: nothing named, each kind named first, the right one first and among the first two."""
    kinds = [[flaw.kind for flaw in diagnose(each)] for each in measures]
    first = [found[0] if found else "nothing" for found in kinds]
    row: dict[str, Any] = {"faces": len(kinds)}
    if right is not None:
        row["right first"] = float(np.mean([name == right for name in first]))
        row["right in two"] = float(np.mean([right in found[:2] for found in kinds]))
    return row | {name: float(np.mean([f == name for f in first])) for name in ("nothing", *FLAWS)}


def by_cause(faces: Sequence[Face], severity: float) -> dict[str, list[Measures]]:
    """Measurements of all these faces under every degradation; a third of them are cut by the photograph's edge."""
    found: dict[str, list[Measures]] = defaultdict(list)
    for face in faces:
        for sample in degraded_samples(face, severity):
            found[sample.cause].append(sample.measures)
    found["cut"] = [sample.measures for sample in cut_samples(faces[: len(faces) // 3], severity)]
    return {cause: found[cause] for cause in RIGHT}


def calibration(samples: Sequence[Sample], turned: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> dict[str, Any]:
    """Expected calibration error (ten bins) of every likelihood that has a truth here, and how often that is true.

    Half of the weight is on faces as they are, as in the reference: each of them is counted as often as there are
    degradations of one face, of those that the measurement is to be had of.
    """
    clean = np.array([s.cause == "none" for s in samples])
    found = [likelihoods(sample.measures) for sample in samples]
    report = {}
    for kind, causes in CAUSES.items():
        truth = np.array([s.cause in causes and s.severity > BEYOND for s in samples])
        given = np.array([row[kind] for row in found])
        usable = ~np.isnan(given)
        times = max(1, round((usable & ~clean).sum() / (usable & clean).sum()))
        rows = np.concatenate([np.tile(np.flatnonzero(usable & clean), times), np.flatnonzero(usable & ~clean)])
        report[kind] = _calibration_row(given[rows], truth[rows])
    angles, failed = turned
    report["tilted"] = _calibration_row(np.array([likelihoods(Measures(roll=a))["tilted"] for a in angles]), failed)
    return report


def _calibration_row(given: NDArray[np.float64], truth: NDArray[np.bool_]) -> dict[str, float]:
    return {
        "ECE": expected_calibration_error(given, truth, bins=10),
        "share true": float(truth.mean()),
        "right where named": float(truth[given >= NAMED].mean()),
        "named where true": float((given >= NAMED)[truth].mean()),
    }


def yaw_of_mirrored(faces: Sequence[Face]) -> float:
    """Rank correlation of the nose's place with minus that of the mirrored photograph, detected anew."""
    found = FaceDetector("central")([np.ascontiguousarray(face.photo[:, ::-1]) for face in faces])
    both = [(pose(f.points)[0], -pose(d.landmarks)[0]) for f, d in zip(faces, found, strict=True) if d is not None]
    return rank_correlation(*np.array(both).T)


def main() -> None:
    """Measure, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of LFW")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--photos", type=int, default=800, help="photographs of held-out people (default: 800)")
    args = parser.parse_args()
    faces = lfw_faces(args.data, 1, args.photos)
    clean = [face.measured() for face in faces]
    rows = {"as it is": named(clean, None)}
    rows |= {cause: named(found, RIGHT[cause]) for cause, found in by_cause(faces, MAIN).items()}
    few = faces[: len(faces) // 3]
    sizes = {str(size): named([face.reduced(size) for face in few], "small") for size in SIZES}
    rows |= {f"reduced to a face of {size} px": row for size, row in sizes.items() if size in ("20", "28", "40")}
    graded = [by_cause(few, severity) for severity in SEVERITIES]
    curves = {cause: [named(found[cause], right)["right in two"] for found in graded] for cause, right in RIGHT.items()}
    mixed = [Sample("none", 0.0, measures) for measures in clean]
    mixed += [sample for face in faces for sample in degraded_samples(face)] + cut_samples(faces)
    report = {
        "severity": MAIN,
        "named first": rows,
        "right in two by severity": {"severity": SEVERITIES, **curves},
        "face size": sizes,
        "calibration": calibration(mixed, turned_faces(few)),
        "yaw against the mirrored photograph, rank correlation": yaw_of_mirrored(few),
        "provenance": provenance()
        | {"command": f"python eval/diagnosis.py {args.data.name} --out {args.out} --photos {args.photos}"},
    }
    text = table(report)
    print(text)
    atomic_write(args.out / "diagnosis.json", (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
    atomic_write(args.out / "diagnosis.txt", (text + "\n").encode())
    yaw = np.array([measures.yaw for measures in clean])
    places = [int(np.argmin(np.abs(yaw - np.quantile(yaw, q)))) for q in YAW_QUANTILES]
    save_diagnosis(report, [(faces[i].chip, float(yaw[i])) for i in places], args.out / "diagnosis.png")


def table(report: dict[str, Any]) -> str:
    """For a terminal."""
    shown = [{"what was done": name, **row} for name, row in report["named first"].items()]
    curves = report["right in two by severity"]
    kinds = [{"what was done": name, **dict(zip(SEVERITIES, curves[name], strict=True))} for name in RIGHT]
    truth = [{"flaw": name, **row} for name, row in report["calibration"].items()]
    return "\n\n".join(
        [
            f"held-out people of LFW, severity {report['severity']}: share of the faces where each flaw is named first",
            tabulate(shown, headers="keys", floatfmt=".3f"),
            "right flaw among the first two, by severity (beyond 0.4 it counts as one)",
            tabulate(kinds, headers="keys", floatfmt=".3f"),
            "do the likelihoods come true? half of the faces as they are, half degraded, severity even in [0, 1]",
            tabulate(truth, headers="keys", floatfmt=".3f"),
            "yaw against that of the mirrored photograph, rank correlation: "
            f"{report['yaw against the mirrored photograph, rank correlation']:.3f}",
        ]
    )


if __name__ == "__main__":
    main()
