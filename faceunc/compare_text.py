"""A comparison in five lines for a terminal, and the warnings that belong to it."""

from __future__ import annotations

from faceunc.compare import Comparison, Judgement
from faceunc.images.diagnose import describe
from faceunc.names import printable


def compare_text(comparison: Comparison) -> str:
    """similarity, confidence, decision, which photograph limits it, what is likely wrong with that."""
    judgement = comparison.judgement
    lines = [_line("similarity", f"{comparison.similarity:.1%}", _says(comparison))]
    if judgement is None:
        lines.append(_line("confidence", "unknown", "no calibrator for this head: faceunc calibrate makes one"))
        lines.append(_line("decision", "none", f"mutual likelihood score {comparison.mls:.1f} nats"))
    else:
        answer = f"that this is right for these photographs (P(same person) {percent(judgement.same)}"
        lines.append(_line("confidence", percent(judgement.confidence), f"{answer}, prior {judgement.prior:.4g})"))
        lines.append(_line("decision", judgement.decision, judgement.reason))
    return "\n".join([*lines, *_limit(comparison)])


def compare_warnings(comparison: Comparison) -> list[str]:
    """What a reader must know besides, one line each."""
    found = [f"left out: {printable(failure.message)}" for failure in comparison.failures]
    for side in comparison.sides:
        found += [
            f"{printable(name)}: {quality.faces} faces, one was chosen"
            for name, quality in zip(side.photos, side.quality, strict=True)
            if quality.faces > 1
        ]
    if comparison.judgement is None:
        return found
    found += [
        f"{printable(name)} is probably another person than the other photographs of its side (P(same) {p:.1%}): "
        "what is said holds for one person a side"
        for name, p in comparison.judgement.strangers
    ]
    return found + list(comparison.judgement.warnings)


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
    first, second = comparison.sides
    fused = f"sigma of the sides {first.fused:.4f} and {second.fused:.4f}{_beyond(comparison.judgement)}"
    epistemic = [side.epistemic for side in comparison.sides if side.epistemic is not None]
    if epistemic:
        fused += f", epistemic sd at most {max(epistemic) ** 0.5:.4f}"
    if comparison.limiting is None:
        flaws = " / ".join(dict.fromkeys(describe(side.flaws[side.poorest]) for side in comparison.sides))
        return [
            _line("limited by", "neither", f"the poorest photographs of both sides are equally certain; {fused}"),
            _line("likely", "", flaws),
        ]
    number, place = comparison.limiting
    side = comparison.sides[number]
    own = f"sigma {side.sigma[place]:.4f}; " if max(len(one.photos) for one in comparison.sides) > 1 else ""
    return [
        _line("limited by", printable(side.photos[place]), f"{own}{fused}"),
        _line("likely", "", describe(side.flaws[place])),
    ]


def _beyond(judgement: Judgement | None) -> str:
    return "" if judgement is None else f" (the larger: above {judgement.beyond:.0%} of the reference)"


def percent(p: float) -> str:
    """Never 0% or 100%: nobody is that sure."""
    return f"{100 * p:.1f}%" if 0.001 <= p <= 0.999 else ("< 0.1%" if p < 0.5 else "> 99.9%")
