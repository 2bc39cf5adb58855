"""Accept, reject or refuse one comparison, by thresholds with a promise and a limit of sigma."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.calibrator import Calibrator
from faceunc.confidence.evidence import Evidence
from faceunc.confidence.guarantee import Guarantee, fmr_threshold, fnmr_threshold
from faceunc.confidence.reference import Reference
from faceunc.metrics.values import between

ACCEPT, REJECT, REFUSE = "accept", "reject", "refuse"
_LEAST_P = 0.001
_MANY_MISSED = 0.5


@dataclass(frozen=True)
class Policy:
    """What an operator can live with, turned into thresholds by :func:`make_policy`.

    A comparison is refused when the poorer photograph's sigma is above ``refuse_sigma``; accepted when its log-odds
    are at or above ``fmr.threshold``; rejected when they are below the reject threshold (``fnmr.threshold`` where an
    FNMR was named and that lies lower, else the accept threshold); and refused between the two: there neither promise
    could be kept.

    Attributes:
        fmr, fnmr: promises on the comparisons that are not refused for their sigma. refuse_sigma: see above; infinite
            for none. similarity_threshold: of the plain system that looks at the similarity alone: the same FMR, as
            observed (not promised) on clean photographs. refused: share of the reference that is above the limit.
        missed: share of the genuine reference, of what is not refused for its sigma, that is not accepted.
    """

    fmr: Guarantee
    fnmr: Guarantee | None
    refuse_sigma: float
    similarity_threshold: float
    refused: float
    missed: float

    @property
    def reject_below(self) -> float:
        """Log-odds below which a comparison is rejected."""
        return self.fmr.threshold if self.fnmr is None else min(self.fmr.threshold, self.fnmr.threshold)

    @property
    def warnings(self) -> list[str]:
        """Why the promises may be weak."""
        named = {"FMR": self.fmr, "FNMR": self.fnmr}
        found = [f"{name}: {note}" for name, promise in named.items() if promise for note in promise.warnings]
        if self.missed > _MANY_MISSED:
            found.append(f"FMR: this strict, {self.missed:.0%} of the genuine comparisons are not accepted")
        return found

    def decide(self, calibrator: Calibrator, evidence: Evidence) -> list[str]:
        """(P,) of "accept", "reject", "refuse"."""
        odds = calibrator.log_odds(evidence)
        found = np.where(odds >= self.fmr.threshold, ACCEPT, np.where(odds < self.reject_below, REJECT, REFUSE))
        return [str(word) for word in np.where(evidence.poorer <= self.refuse_sigma, found, REFUSE)]

    def reason(self, decision: str, log_odds: float, poorer: float) -> str:
        """Why one comparison was decided so, in words."""
        if decision == ACCEPT:
            return f"log-odds {log_odds:.1f} >= {self.fmr.threshold:.1f}: FMR at most {_rests(self.fmr)}"
        if poorer > self.refuse_sigma:
            return f"too poor: sigma {poorer:.4f} > {self.refuse_sigma:.4f}, the limit; ask for another photograph"
        if decision == REFUSE:
            ends = f"{self.reject_below:.1f} to {self.fmr.threshold:.1f}"
            return f"log-odds {log_odds:.1f} lie in {ends}, where neither promise can be kept"
        if self.fnmr is not None and self.fnmr.threshold <= self.fmr.threshold:
            return f"log-odds {log_odds:.1f} < {self.reject_below:.1f}: FNMR at most {_rests(self.fnmr)}"
        wanted = f"the {self.reject_below:.1f} that an FMR of {self.fmr.target:g} takes"
        return f"log-odds {log_odds:.1f} < {wanted} (no promise: {self.missed:.1%} of genuine ones end so)"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "FMR": self.fmr.to_dict(),
            "FNMR": None if self.fnmr is None else self.fnmr.to_dict(),
            "refuse sigma above": None if np.isinf(self.refuse_sigma) else self.refuse_sigma,
            "share of the reference refused": self.refused,
            "share of the genuine reference below the accept threshold": self.missed,
            "similarity threshold": self.similarity_threshold,
        }


def make_policy(
    reference: Reference,
    fmr: float = 1e-3,
    fnmr: float | None = None,
    confidence: float = 0.95,
    refuse_share: float = 0.1,
    future: int | None = None,
) -> Policy:
    """Thresholds that keep what the operator asks for.

    Args:
        reference: held-out comparisons. fmr: highest false match rate, fnmr: highest false non-match rate (None: no
            promise), each of what is not refused for its sigma. confidence: of each promise.
        refuse_share: the share of the reference, poorest first, that sets the limit of sigma; 0 refuses none.
        future: None promises the rates of the population, a number M those seen in the next M comparisons.

    Raises:
        ValueError: values out of range, or a reference too small for such a promise.
    """
    between("refuse_share", refuse_share, 0.0, 0.99)
    limit = float(np.quantile(reference.poorer, 1.0 - refuse_share)) if refuse_share else float("inf")
    kept = reference[reference.poorer <= limit]
    impostor, genuine = kept[~kept.same], kept[kept.same]
    accept = fmr_threshold(impostor.log_odds, impostor.first_subject, impostor.second_subject, fmr, confidence, future)
    reject = None
    if fnmr is not None:
        reject = fnmr_threshold(genuine.log_odds, genuine.first_subject, fnmr, confidence, future)
    plain = reference.similarity[reference.clean & ~reference.same]
    if not len(plain):
        raise ValueError("the reference must hold clean comparisons of two people. Got none instead.")
    similarity = float(np.nextafter(np.quantile(plain, 1.0 - fmr, method="higher"), np.float32(np.inf)))
    refused, missed = np.mean(reference.poorer > limit), np.mean(genuine.log_odds < accept.threshold)
    return Policy(accept, reject, limit, similarity, float(refused), float(missed))


def _rests(promise: Guarantee) -> str:
    sample = f"{promise.comparisons} comparisons of {promise.people} people"
    return f"{promise.target:g} ({promise.confidence:.0%} confidence, {sample})"


def exchangeability_warnings(reference: Reference, evidence: Evidence) -> list[str]:
    """Why promises may not carry over to these comparisons: their sigmas are not like the reference's.

    One comparison is looked up in the reference; 20 or more are compared with it as a whole (Kolmogorov-Smirnov).
    """
    from scipy.stats import ks_2samp

    known: NDArray[np.float32] = reference.poorer
    beyond = int((evidence.poorer > known.max()).sum())
    found = []
    if beyond:
        found.append(
            f"{beyond} of {len(evidence)} comparisons are poorer than all {len(known)} of the reference: "
            "nothing is known about such"
        )
    if len(evidence) >= 20:
        test = ks_2samp(evidence.poorer, known)
        if test.pvalue < _LEAST_P:
            found.append(
                f"sigma is distributed otherwise than in the reference (Kolmogorov-Smirnov {test.statistic:.2f}): "
                "calibrate on comparisons like yours before you rely on the promised rates"
            )
    return found
