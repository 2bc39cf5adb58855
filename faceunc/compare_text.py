"""A comparison in five lines for a terminal, and the warnings that belong to it."""

from __future__ import annotations

from faceunc.compare import Comparison, Judgement, Side
from faceunc.images.diagnose import describe


def compare_text(comparison: Comparison) -> str:
    """similarity, confidence, decision, which photograph limits it, what is likely wrong with that."""
    judgement = comparison.judgement
    lines = [_line("similarity", f"{comparison.similarity:.1%}", _says(comparison))]
    if judgement is None:
        lines.append(_line("confidence", "unknown", "no calibrator for this head: faceunc calibrate makes one"))
        lines.append(_line("decision", "none", f"mutual likelihood score {comparison.mls:.1f} nats"))
    else:
        answer = f"that this is right for these photographs (P(same person) {_percent(judgement.same)}"
        lines.append(_line("confidence", _percent(judgement.confidence), f"{answer}, prior {judgement.prior:.4g})"))
        lines.append(_line("decision", judgement.decision, judgement.reason))
    return "\n".join([*lines, *_limit(comparison)])


def compare_warnings(comparison: Comparison) -> list[str]:
    """What a reader must know besides, one line each."""
    found = [f"left out: {failure.message}" for failure in comparison.failures]
    for side in comparison.sides:
        found += [
            f"{name}: {quality.faces} faces, one was chosen"
            for name, quality in zip(side.photos, side.quality, strict=True)
            if quality.faces > 1
        ]
    return found + list(comparison.judgement.warnings if comparison.judgement else ())


def _line(what: str, value: str, text: str) -> str:
    return f"{what:<11} {value:<8} {text}".rstrip()


def _says(comparison: Comparison) -> str:
    if comparison.judgement is None:
        return "cosine of the two embeddings"
    policy = comparison.judgement.policy
    says = "same person" if comparison.similarity >= policy.similarity_threshold else "two people"
    rate = f"FMR {policy.fmr.target:g} on clean photographs"
    return f'alone it says "{says}" (threshold {policy.similarity_threshold:.1%}: {rate})'


def _limit(comparison: Comparison) -> list[str]:
    side = comparison.limiting
    first, second = comparison.sides
    if side is None:
        shared = f"both sides are equally certain (sigma {first.fused:.4f})"
        return [_line("limited by", "neither", shared), _line("likely", "", _flaws(first))]
    other = second if side is first else first
    texts = [f"sigma {side.fused:.4f}{_beyond(comparison.judgement)}; the other side {other.fused:.4f}"]
    if side.epistemic is not None:
        texts.append(f"epistemic sd {side.epistemic**0.5:.4f}")
    return [_line("limited by", side.name, ", ".join(texts)), _line("likely", "", _flaws(side))]


def _beyond(judgement: Judgement | None) -> str:
    return "" if judgement is None else f", poorer than {judgement.beyond:.0%} of the reference comparisons"


def _flaws(side: Side) -> str:
    return describe(side.flaws[side.poorest])


def _percent(p: float) -> str:
    """Never 0% or 100%: nobody is that sure."""
    return f"{min(max(100 * p, 0.1), 99.9):.1f}%" if 0.001 <= p <= 0.999 else ("< 0.1%" if p < 0.5 else "> 99.9%")
