"""What ``faceunc bench`` prints."""

from __future__ import annotations

from tabulate import tabulate

from faceunc.engines.bench import BenchResult, EngineSpeed
from faceunc.engines.names import ENGINES
from faceunc.engines.parity import MAX_DISTANCE, MAX_LOG_VAR


def bench_text(result: BenchResult) -> str:
    """The table, what it says, the choice and how to use it, and what is missing."""
    headers = [
        "engine",
        "precision",
        f"chips/s\nbatch {result.batch}",
        "chips/s\nquartiles",
        "x torch",
        "ms\nbatch 1",
        "1 - cosine\nat worst",
        "log_var\nat worst",
        "agrees",
    ]
    rows = sorted(result.engines, key=lambda row: -row.chips_per_second)
    table = tabulate([_cells(row, result) for row in rows], headers, disable_numparse=True, colalign=_ALIGN)
    title = f"{result.backbone} with head {result.head} on {result.threads} threads: medians of {result.rounds} "
    title += f"interleaved rounds, compared on {result.chips} chips with torch in float32"
    return "\n\n".join([title, table, _notes(result), _choice(result), *_missing(result)])


_ALIGN = ("left", "left", "right", "right", "right", "right", "right", "right", "left")


def _cells(row: EngineSpeed, result: BenchResult) -> list[str]:
    return [
        f"{row.name} *" if row.name == result.default else row.name,
        row.precision,
        f"{row.chips_per_second:.0f}",
        f"{row.quartiles[0]:.0f}-{row.quartiles[1]:.0f}",
        f"{row.ratio:.2f}",
        f"{row.one_chip_ms:.1f}",
        f"{row.parity.cosine_distance:.1e}",
        f"{row.parity.log_var:.1e}",
        "yes" if row.parity.passes else "NO",
    ]


def _notes(result: BenchResult) -> str:
    exact, half = MAX_LOG_VAR["float32"], MAX_LOG_VAR["bfloat16"]
    measured = result.default in {row.name for row in result.engines}
    default = "*      " if measured else f"{result.default} (not in this table) is"
    return "\n".join(
        [
            f"{default} what faceunc embed uses when no engine and no precision is named",
            "chips/s: whole batches run side by side, as faceunc embed runs them; reading photographs and detection",
            "         are not counted, and take longer",
            f"agrees:  cosine distance to torch at most {MAX_DISTANCE:g}, log_var within {exact:g} "
            f"(bfloat16: {half:g}, that is {100 * half:.0f}% of",
            "         the variance). Embeddings of engines that agree may be compared with each other; one result of",
            "         faceunc embed is continued in its own precision only, by any engine of that precision",
        ]
    )


def _choice(result: BenchResult) -> str:
    best, exact = result.fastest(), result.fastest("float32")
    whole = result.default in {row.name for row in result.engines}  # else others, the default too, may be faster
    lines = [_use("fastest that agrees" if whole else "fastest of these", best, result)]
    if exact.name != best.name:
        lines.append(_use("fastest in float32", exact, result))
    quick = min((row for row in result.engines if row.parity.passes), key=lambda row: row.one_chip_ms)
    if quick.name not in (best.name, exact.name):
        lines.append(_use("quickest for one chip", quick, result))
    return "\n".join(lines)


def _use(what: str, row: EngineSpeed, result: BenchResult) -> str:
    how = "Used by default" if row.name == result.default else f"Use it with: --engine {row.name}"
    figures = f"{row.chips_per_second:.0f} chips/s, {row.one_chip_ms:.1f} ms for one"
    return f"{what + ':':22s} {row.name} ({figures}). {how}"


def _missing(result: BenchResult) -> list[str]:
    absent = {name: ENGINES[name].summary for name in ENGINES if name not in {row.name for row in result.engines}}
    lines = [f"  {name:18s} {result.missing.get(name, f'not asked for ({text})')}" for name, text in absent.items()]
    return ["not measured:\n" + "\n".join(lines)] if lines else []
