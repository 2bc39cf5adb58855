"""What refusing a tenth of the pairs is worth: by sigma, by confidence, and by everything that needs no sigma."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.evaluation.bench import Bench
from faceunc.evaluation.calibration import TestPairs
from faceunc.evaluation.comparisons import BOTH, ONE
from faceunc.evaluation.lfw import pair_rows
from faceunc.evaluation.rejection import measures
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.images.views import View
from faceunc.metrics.rejection import pair_quality
from faceunc.metrics.sorted_scores import sort_scores
from faceunc.protocols.pairs import PairProtocol

Floats = NDArray[np.float64]
FMR = 1e-2


def evaluate_refusal(
    bench: Bench, pairs: PairProtocol, head: str, tested: TestPairs, log_odds: Floats, share: float = 0.1
) -> list[dict[str, Any]]:
    """FNMR at FMR 1e-2 before and after the poorest ``share`` of the pairs is refused, mean over three seeds.

    The threshold is chosen anew on what remains, genuine and impostor pairs alike. "Fixed" keeps the threshold and
    refuses that share of the genuine pairs. The quality of a pair is the lower of its two photographs'; "confidence"
    is the distance of the calibrated log-odds from even.
    """
    found: dict[tuple[str, str, str], list[tuple[float, float, float]]] = {}
    first, second = pair_rows(bench, pairs)
    for part in (ONE, BOTH):
        for seed in TEST_SEEDS:
            rows = np.flatnonzero((tested.kind == part) & (tested.seed == seed))
            poor = View(mix_seed=seed)
            left, right = measures(bench, View() if part == ONE else poor), measures(bench, poor)
            qualities = {name: pair_quality(left[name][first], right[name][second]) for name in left}
            qualities = {name: q for name, q in qualities.items() if not name.startswith("sigma") or head in name}
            qualities["confidence"] = np.abs(log_odds[rows])
            evidence = tested.evidence[rows]
            for score, values in (
                ("similarity", evidence.similarity),
                ("MLS", evidence.mls),
                ("log-odds", log_odds[rows]),
            ):
                for name, quality in qualities.items():
                    figures = _figures(values, tested.same[rows], quality, share)
                    found.setdefault((part, score, name), []).append(figures)
    return [
        {"head": head, "part": part, "score": score, "refused by": name, "share": share, **_mean(values)}
        for (part, score, name), values in found.items()
    ]


def _figures(scores: Floats, same: NDArray[np.bool_], quality: Floats, share: float) -> tuple[float, float, float]:
    """FNMR with nothing refused, with ``share`` of all pairs refused, and with that of the genuine, threshold fixed."""
    plain = sort_scores(scores, same).tar_at_far(FMR)
    keep = quality >= np.quantile(quality, share)
    after = sort_scores(scores[keep], same[keep]).tar_at_far(FMR)
    good = same & (quality >= np.quantile(quality[same], share))
    return 1.0 - plain.tar, 1.0 - after.tar, float((scores[good] < plain.threshold).mean())


def _mean(values: list[tuple[float, float, float]]) -> dict[str, float]:
    before, after, fixed = np.array(values).T
    fall = 1.0 - after / before
    return {
        "FNMR": float(before.mean()),
        "FNMR after": float(after.mean()),
        "fall": float(fall.mean()),
        "std fall": float(fall.std(ddof=1)),
        "fall, fixed": float((1.0 - fixed / before).mean()),
    }
