"""Error against discard on the cross-quality pairs: does refusing by sigma help more than refusing by anything else?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceunc.embeddings import harmonic_log_var
from faceunc.evaluation.bench import Bench, EvalOptions
from faceunc.evaluation.detector_scores import detector_scores
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.report import FEW, EvalReport
from faceunc.evaluation.setup import TEST_SEEDS, folder_bench
from faceunc.images.views import View
from faceunc.metrics.bootstrap import Interval, subject_bootstrap
from faceunc.metrics.rejection import edc_area, edc_fixed, edc_rechosen, oracle_quality, pair_quality
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.plots.edc import Panel, save_edc
from faceunc.progress import bar
from faceunc.protocols.lfw import read_pairs
from faceunc.protocols.pairs import PairProtocol
from faceunc.scoring.embedded import score_pairs

Floats = NDArray[np.float64]
FMRS = (1e-2, 1e-3)
LIMITS = (0.2, 0.5)
GRID = np.linspace(0.0, 0.5, 51)
REPLICATES = 500
RANDOM, ORACLE = "random", "oracle"


@dataclass(frozen=True)
class Case:
    """One seed of one part: scores of the pairs, and the quality of each pair by every measure (higher = better)."""

    scores: NDArray[np.float32]
    qualities: dict[str, Floats]


def evaluate_rejection(options: EvalOptions, pairs_file: Path | None = None) -> EvalReport:
    """Areas under FNMR against the share discarded, for sigma and its rivals, with intervals over subjects.

    Parts (a) and (b), scores and degradations are those of ``cross-quality``, and so is "mean over three seeds". The
    quality of a pair is the lower of its two images'. The detector's score is that of the degraded chip; the face size
    is that of the original photograph, which no degradation of the chip changes.
    """
    pairs = read_pairs(pairs_file or options.data / "pairs.txt")
    bench = folder_bench(options, pairs)
    bench.prepare([View(), *(View(mix_seed=seed) for seed in TEST_SEEDS)])
    report = EvalReport("rejection", options, bench)
    panels = []
    progress = bar("scores", 2 * len(bench.methods), "score", show=options.show)
    for part in ("a", "b"):
        for name, variance, score in bench.methods:
            progress.update(1)
            cases = [_case(bench, pairs, part, seed, variance, score) for seed in TEST_SEEDS]
            for target in FMRS:
                few = FEW if target * int((~pairs.same).sum()) < 10 else ""
                _add_rows(report, {"part": part, "score": name, "FMR": f"{target:g}{few}"}, cases, pairs, target)
            panels.append(Panel(f"({part}) {name}, FMR {FMRS[0]:g}", _curves(cases, pairs, FMRS[0])))
    report.extra["how"] = {
        "pair quality": "the lower of the two images'",
        "area to 20% (50%)": "under FNMR over 0 to .2 (.5) discarded, divided by .2 (.5) x FNMR at 0; 1 tells nothing",
        "area, gain": "genuine pairs are discarded, the threshold is that of 0% discard",
        "re-chosen": "genuine and impostor pairs are discarded together, the threshold is chosen anew",
        "gain": f"the measure's area less that of sigma ({bench.head_names[-1]}): above 0, sigma is the better",
        "low, high (JSON)": f"ends of 95% intervals over {REPLICATES} resamples of the subjects",
    }
    report.save_figure = lambda path: save_edc(panels, path, f"{bench.source.backbone.spec.name}: FNMR against discard")
    return report


def _case(bench: Bench, pairs: PairProtocol, part: str, seed: int, variance: str, score: str) -> Case:
    left, right = (View() if part == "a" else View(mix_seed=seed)), View(mix_seed=seed)
    first, second = pair_rows(bench, pairs)
    scores = score_pairs(bench.embeddings(left, variance, first), bench.embeddings(right, variance, second), score)
    of_left, of_right = measures(bench, left), measures(bench, right)
    qualities = {name: pair_quality(of_left[name][first], of_right[name][second]) for name in of_left}
    qualities[RANDOM] = np.zeros(len(pairs))  # all tied: the expectation over every order
    return Case(scores, qualities)


def measures(bench: Bench, view: View) -> dict[str, Floats]:
    """Quality of every photograph in one view, by every measure; higher = better."""
    features, landmarks = bench.source.features([view])[view], bench.source.landmarks
    sigma = {f"sigma ({v})": -harmonic_log_var(bench.embeddings(view, v).log_var) for v in bench.head_names}
    rivals = {
        "norm": features.norm,
        "detector score": detector_scores(bench.source, view, bench.options.show),
        "sharpness": features.sharpness,
        "face size": np.nan_to_num(landmarks.face_size, nan=0.0),
    }
    return sigma | {name: np.asarray(values, np.float64) for name, values in rivals.items()}


def _add_rows(
    report: EvalReport, labels: dict[str, object], cases: list[Case], pairs: PairProtocol, target: float
) -> None:
    """A row a measure: area with interval, FNMR after 0, 10 and 20% discarded; the same with re-chosen thresholds."""
    names = [*cases[0].qualities, ORACLE]
    sigma = [i for i, name in enumerate(names) if name.startswith("sigma")][-1]  # the scalar head's, named beforehand

    def areas(rows: NDArray[np.int64]) -> Floats:
        """(area or gain, measure, limit)."""
        found = np.mean([list(_areas(case, pairs, target, rows)) for case in cases], axis=0)
        return np.stack([found, found - found[sigma]])

    curves = _curves(cases, pairs, target)
    try:
        interval = subject_bootstrap(areas, pairs.first_subject, pairs.second_subject, REPLICATES)
    except ValueError as error:  # too few errors to speak of areas: the curves alone are reported
        report.extra.setdefault("no areas", {})[" ".join(map(str, labels.values()))] = str(error)
        interval = None
    for i, name in enumerate(names):
        fixed, again = curves[name]
        figures = {} if interval is None else _area_figures(interval, i)
        figures |= {f"FNMR at {share:.0%}": float(np.interp(share, GRID, fixed)) for share in (0.0, 0.1, 0.2)}
        if again is not None and again[0] > 0:
            for limit in LIMITS:
                inside = limit + 1e-9 >= GRID
                area = np.trapezoid(again[inside], GRID[inside]) / (limit * again[0])
                figures[f"re-chosen, area to {limit:.0%}"] = float(area)
        report.add({**labels, "quality": name}, figures)


def _area_figures(interval: Interval, measure: int) -> dict[str, float]:
    """Areas and gains of one measure, each with the ends of its interval."""
    ends = {"": interval.value, "low ": interval.low, "high ": interval.high}
    figures = {}
    for column, limit in enumerate(LIMITS):
        for row, what in enumerate(("area", "gain")):
            for end, values in ends.items():
                figures[f"{end}{what} to {limit:.0%}"] = float(np.asarray(values)[row, measure, column])
    return figures


def _areas(case: Case, pairs: PairProtocol, target: float, rows: NDArray[np.int64]) -> Iterator[list[float]]:
    """Areas under the fixed-threshold curve by every measure, one a limit, on a resample of the pairs."""
    scores, same = case.scores[rows], pairs.same[rows]
    threshold = sort_scores(scores, same).tar_at_far(target).threshold
    genuine = rows[same]
    for quality in [*case.qualities.values(), oracle_quality(case.scores < threshold)]:
        curve = edc_fixed(case.scores[genuine], quality[genuine], threshold)
        yield [edc_area(curve, limit) for limit in LIMITS]


def _curves(cases: list[Case], pairs: PairProtocol, target: float) -> dict[str, tuple[Floats, Floats | None]]:
    """FNMR over ``GRID`` by every measure, mean over seeds: threshold fixed, and re-chosen (not for the oracle)."""
    curves: dict[str, tuple[Floats, Floats | None]] = {}
    same = pairs.same
    thresholds = [sort_scores(case.scores, same).tar_at_far(target).threshold for case in cases]
    for name in [*cases[0].qualities, ORACLE]:
        fixed, again = [], []
        for case, threshold in zip(cases, thresholds, strict=True):
            quality = case.qualities.get(name, oracle_quality(case.scores < threshold))
            curve = edc_fixed(case.scores[same], quality[same], threshold)
            fixed.append(np.interp(GRID, curve.discarded, curve.error))
            if name != ORACLE:
                again.append(edc_rechosen(case.scores, same, quality, target, GRID).error)
        curves[name] = (np.mean(fixed, axis=0), np.mean(again, axis=0) if again else None)
    return curves
