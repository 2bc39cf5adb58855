"""How far one comparison is to be trusted: calibrated probability, confidence, decisions with a promise."""

from faceunc.confidence.calibrator import Calibrator, fit_calibrator
from faceunc.confidence.decision import Policy, exchangeability_warnings, make_policy
from faceunc.confidence.evidence import Evidence, join_evidence, pair_evidence
from faceunc.confidence.guarantee import Guarantee, error_bound, fmr_threshold, fnmr_threshold, needed
from faceunc.confidence.reference import Reference
from faceunc.confidence.store import StoredCalibrator, load_calibrator, save_calibrator

__all__ = [
    "Calibrator",
    "Evidence",
    "Guarantee",
    "Policy",
    "Reference",
    "StoredCalibrator",
    "error_bound",
    "exchangeability_warnings",
    "fit_calibrator",
    "fmr_threshold",
    "fnmr_threshold",
    "join_evidence",
    "load_calibrator",
    "make_policy",
    "needed",
    "pair_evidence",
    "save_calibrator",
]
