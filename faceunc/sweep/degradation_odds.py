"""One more score of the sweep: calibrated log-odds, by calibrators that have not met the people of the pair."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence import Calibrator, pair_evidence
from faceunc.embeddings import Embeddings
from faceunc.evaluation.bench import Bench
from faceunc.evaluation.calibration import cross_fit_calibrators, fold_groups, held_out_log_odds
from faceunc.evaluation.comparisons import DrawOptions, draw_comparisons
from faceunc.evaluation.setup import TEST_SEEDS
from faceunc.protocols.pairs import PairProtocol

LOG_ODDS = "log-odds"
_KIND = "monotone"
_VERSION = "2"  # part of every cell's key: raise it when calibrators are fitted in another way
_DRAWN = DrawOptions()


def odds_methods(bench: Bench) -> list[tuple[str, str, str]]:
    """(name in tables, head, score) of the log-odds, one a head; as :attr:`Bench.methods`."""
    return [(f"{LOG_ODDS} ({head})", head, LOG_ODDS) for head in bench.head_names]


def odds_settings() -> dict[str, Any]:
    """What the calibrators depend on besides photographs, pairs and heads; JSON-ready."""
    drawn = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(_DRAWN).items()}
    return {"version": _VERSION, "kind": _KIND, "seeds": list(TEST_SEEDS), "drawn": drawn}


def why_no_odds(bench: Bench, pairs: PairProtocol) -> str:
    """Why calibrators cannot be cross-fitted here, for the report's notes; empty when they can.

    A fold's calibrator is fitted on the other folds of its half, which share the head and none of the people.
    """
    if bench.given_head:
        return "one head embeds everybody; calibrators are fitted with cross-fitted heads"
    folds = np.unique(pairs.fold).tolist()
    if len(folds) < 4 or len(folds) % 2 or folds != list(range(pairs.num_folds)):
        return f"calibrators need an even number of folds, at least 4 (a head a half), and there are {len(folds)}"
    people = [pairs.identities_of_folds({fold}) for fold in folds]
    if sum(map(len, people)) > len(set().union(*people)):
        return "people stand in pairs of several folds"
    group = fold_groups(bench, pairs, bench.head_names[0])
    identities = np.array(bench.source.photos.identities)
    for fold in folds:
        found = identities[(group == fold) & (bench.source.landmarks.state == 0)]
        _, photographs = np.unique(found, return_counts=True)
        if len(photographs) < 2 or photographs.max() < 2:
            return f"fold {fold + 1} has too few people or photographs to fit a calibrator on"
    return ""


class HeldOutOdds:
    """Log-odds of comparisons of the folds' people. Calibrators of a head are fitted when first needed."""

    def __init__(self, bench: Bench, pairs: PairProtocol) -> None:
        """``bench``: of the whole folder, since calibrators are fitted on all its people and not on the pairs alone."""
        self._bench, self._pairs = bench, pairs
        self._fitted: dict[str, list[Calibrator]] = {}
        self._fold_of = {
            image: int(fold)
            for side in (pairs.first, pairs.second)
            for image, fold in zip(side, pairs.fold, strict=True)
        }

    def __call__(self, left: Embeddings, right: Embeddings, head: str) -> NDArray[np.float32]:
        """(P,) of row i of ``left`` against row i of ``right``, which are people of one fold.

        Raises KeyError for a photograph that is in no pair.
        """
        fold = np.array([self._fold_of[image] for image in left.ids], np.int64)
        odds = held_out_log_odds(self._calibrators(head), pair_evidence(left, right), fold)
        return odds.astype(np.float32)

    def _calibrators(self, head: str) -> list[Calibrator]:
        if head not in self._fitted:
            drawn = draw_comparisons(self._bench, head, fold_groups(self._bench, self._pairs, head), _DRAWN)
            self._fitted[head] = cross_fit_calibrators(drawn, self._pairs.num_folds, _KIND)
        return self._fitted[head]
