"""One comparison, of two photographs or of several a side: similarity, confidence, decision, what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.confidence.decision import ACCEPT, Policy, exchangeability_warnings, make_policy
from faceunc.confidence.evidence import Evidence, pair_evidence
from faceunc.confidence.store import StoredCalibrator
from faceunc.embedder import Embedder
from faceunc.embeddings import Embeddings, concatenate
from faceunc.errors import ImageError
from faceunc.images.diagnose import Flaw, diagnose
from faceunc.photo_batches import Failure, Photo, Quality
from faceunc.scoring.pooling import Pooling, pool_templates


@dataclass(frozen=True)
class Side:
    """What is compared with the other side: one photograph, or a template fused of n.

    Attributes:
        photos: ids, n. sigma: of each photograph, on the unit sphere. fused: sigma of the template. quality, flaws:
            simple facts of each photograph and what is likely wrong with it. chips: aligned, RGB (S, S, 3).
            epistemic: the largest epistemic variance, or None.
    """

    photos: tuple[str, ...]
    sigma: tuple[float, ...]
    fused: float
    quality: tuple[Quality, ...]
    flaws: tuple[tuple[Flaw, ...], ...]
    chips: tuple[NDArray[np.uint8], ...]
    epistemic: float | None = None

    @property
    def poorest(self) -> int:
        """Position of the photograph with the largest sigma."""
        return int(np.argmax(self.sigma))


@dataclass(frozen=True)
class Judgement:
    """What a calibrator and a policy make of a comparison.

    Attributes:
        log_odds: log-likelihood ratio of one person against two. same: P(same person) at ``prior``.
        confidence: probability that what the similarity says at the policy's ``similarity_threshold`` is right.
        decision: "accept", "reject" or "refuse", for this ``reason``. warnings: why it may not hold here.
        beyond: share of the reference comparisons whose poorer side is better than the poorer side here.
        strangers: (photograph, P(same person)) of those that are probably of another person than their side's rest.
    """

    log_odds: float
    same: float
    prior: float
    confidence: float
    decision: str
    reason: str
    policy: Policy
    beyond: float
    warnings: tuple[str, ...]
    strangers: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Two sides compared.

    Attributes:
        sides: first and second. similarity: cosine in [-1, 1]. mls: mutual likelihood score, nats, the paper's form.
        judgement: None where no calibrator is there for the head. failures: photographs that were left out.
    """

    sides: tuple[Side, Side]
    similarity: float
    mls: float
    judgement: Judgement | None
    failures: tuple[Failure, ...] = ()

    @property
    def limiting(self) -> tuple[int, int] | None:
        """(side, position) of the photograph that limits the comparison: the one with the largest sigma of all; None
        when the two sides' poorest photographs are equally certain."""
        low, high = sorted((0, 1), key=lambda k: max(self.sides[k].sigma))
        equal = max(self.sides[high].sigma) < 1.02 * max(self.sides[low].sigma)
        return None if equal else (high, self.sides[high].poorest)


def compare(
    embedder: Embedder,
    first: Photo | Sequence[Photo],
    second: Photo | Sequence[Photo],
    calibrator: StoredCalibrator | None = None,
    policy: Policy | None = None,
    prior: float = 0.5,
) -> Comparison:
    """Embed both sides, fuse where a side has several photographs, and compare.

    Args:
        calibrator: of this embedder's head (:func:`faceunc.confidence.load_calibrator`); None leaves out confidence and
            decision. policy: None for :func:`faceunc.confidence.make_policy` with its defaults.
        prior: the share of comparisons that are of one person, where this is used.

    Raises:
        ImageError: no photograph of a side can be used. IncompatibleError: the calibrator belongs to another head.
        ValueError: a prior that is not between 0 and 1.
    """
    given = [_photos(side) for side in (first, second)]
    posterior = "bayes" if calibrator is None else str(calibrator.calibrator.card.get("posterior", "bayes"))
    embedded = [_embed(embedder, photos) for photos in given]
    faces = [faces for faces, _, _ in embedded]
    fused = [_fuse(one, posterior) for one in faces]
    evidence = pair_evidence(fused[0], fused[1], len(faces[0]), len(faces[1]))
    sides = [_side(one, both, fused) for (one, both, _), fused in zip(embedded, fused, strict=True)]
    judgement = None
    if calibrator is not None:
        calibrator.calibrator.check(fused[0])
        found = [stranger for side in faces for stranger in _strangers(side, calibrator, posterior)]
        judgement = replace(_judge(calibrator, policy, evidence, prior), strangers=tuple(found))
    failures = tuple(failure for _, _, failures in embedded for failure in failures)
    return Comparison((sides[0], sides[1]), float(evidence.similarity[0]), float(evidence.mls[0]), judgement, failures)


def _photos(side: Photo | Sequence[Photo]) -> list[Photo]:
    return [side] if isinstance(side, str | Path | np.ndarray) else list(side)


Facts = tuple[list[Quality], list[NDArray[np.uint8]]]


def _embed(embedder: Embedder, photos: list[Photo]) -> tuple[Embeddings, Facts, list[Failure]]:
    batches = list(embedder.batches(photos))
    failures = [failure for batch in batches for failure in batch.failures]
    faces = concatenate([batch.embeddings for batch in batches])
    if not len(faces):
        raise ImageError(failures[0].kind, failures[0].message)
    facts = [q for batch in batches for q in batch.quality], [chip for batch in batches for chip in batch.chips]
    return faces, facts, failures


def _fuse(faces: Embeddings, posterior: str) -> Embeddings:
    fused = pool_templates(faces, np.zeros(len(faces), np.int64), Pooling(posterior=posterior))
    if faces.epistemic is None:
        return fused
    return replace(fused, epistemic=np.array([faces.epistemic.max()], np.float32))


def _side(faces: Embeddings, facts: Facts, fused: Embeddings) -> Side:
    quality, chips = facts
    flaws = tuple(tuple(diagnose(one.measures)) for one in quality)
    sigma = tuple(float(value) for value in faces.sigma)
    epistemic = None if faces.epistemic is None else float(faces.epistemic.max())
    return Side(tuple(faces.ids), sigma, float(fused.sigma[0]), tuple(quality), flaws, tuple(chips), epistemic)


def _judge(stored: StoredCalibrator, policy: Policy | None, evidence: Evidence, prior: float) -> Judgement:
    calibrator, reference = stored.calibrator, stored.reference
    policy = policy or make_policy(reference)
    if not calibrator.reads_epistemic:
        evidence = replace(evidence, epistemic=None)
    odds = float(calibrator.log_odds(evidence)[0])
    decision = policy.decide(calibrator, evidence)[0]
    same = float(calibrator.probability(evidence, prior)[0])
    doubtful = [f"accepted, yet at a prior of {prior:g} more probably two people"] if decision == ACCEPT else []
    return Judgement(
        odds,
        same,
        prior,
        float(calibrator.confidence(evidence, policy.similarity_threshold, prior)[0]),
        decision,
        policy.reason(decision, odds, float(evidence.poorer[0])),
        policy,
        float(np.mean(reference.poorer < evidence.poorer[0])),
        (
            *(doubtful if same < 0.5 else []),
            *policy.warnings,
            *exchangeability_warnings(reference, evidence),
            *_size_warning(stored, evidence),
        ),
    )


def _strangers(faces: Embeddings, stored: StoredCalibrator, posterior: str) -> list[tuple[str, float]]:
    """Photographs that are more probably of another person than the others of their side, at even odds."""
    found = []
    for row in range(len(faces) if len(faces) > 1 else 0):
        rest = np.flatnonzero(np.arange(len(faces)) != row)
        evidence = pair_evidence(faces[[row]], _fuse(faces[rest], posterior), 1, len(rest))
        if not stored.calibrator.reads_epistemic:
            evidence = replace(evidence, epistemic=None)
        p = float(stored.calibrator.probability(evidence)[0])
        if p < 0.5:
            found.append((faces.ids[row], p))
    return found


def _size_warning(stored: StoredCalibrator, evidence: Evidence) -> list[str]:
    most, here = stored.calibrator.card.get("most images"), int(evidence.images.max())
    if not isinstance(most, int) or here <= most:
        return []
    return [f"a side has {here} photographs: the calibrator knows templates of up to {most}"]


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """JSON-ready (NaN becomes null); no pixels."""
    limiting, judgement = comparison.limiting, comparison.judgement
    found: dict[str, Any] = {"similarity": comparison.similarity, "mls": comparison.mls}
    found |= {"confidence": None, "decision": None}
    if judgement is not None:
        found |= {**{k: v for k, v in vars(judgement).items() if k != "policy"}, "policy": judgement.policy.to_dict()}
    found["sides"] = [_side_dict(side) for side in comparison.sides]
    found["limited by"] = None if limiting is None else comparison.sides[limiting[0]].photos[limiting[1]]
    found["failures"] = [asdict(failure) for failure in comparison.failures]
    return dict(_no_nan(found))


def _side_dict(side: Side) -> dict[str, Any]:
    photos = [
        {"photo": name, "sigma": sigma, **asdict(quality), "flaws": [asdict(flaw) for flaw in flaws]}
        for name, sigma, quality, flaws in zip(side.photos, side.sigma, side.quality, side.flaws, strict=True)
    ]
    return {"sigma": side.fused, "epistemic": side.epistemic, "photos": photos}


def _no_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _no_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_no_nan(one) for one in value]
    return None if isinstance(value, float) and value != value else value
