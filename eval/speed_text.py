"""speed.txt: the goals, then a table or two for each section, a row for whatever was compared; for eval/speed.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from speed_goals import outcomes
from speed_store import ON_REQUEST, SECTIONS
from tabulate import tabulate

Figures = dict[str, Any]
Rows = Mapping[str, Mapping[str, Any]]


def text_of(sections: Mapping[str, Any]) -> str:
    """Goals first, then every figure of every section, then where each comes from."""
    found = outcomes(sections)
    rows = [outcome.row() for outcome in found]
    count = {reached: sum(outcome.reached is reached for outcome in found) for reached in (True, False, None)}
    parts = [
        f"Goals: {count[True]} reached, {count[False]} not, {count[None]} not measured",
        tabulate(rows, headers=("section", "figure", "measured", "goal", "reached"), disable_numparse=True),
    ]
    figures: dict[str, Figures] = {name: dict(section["figures"]) for name, section in sections.items()}
    groups = {"growth": _group(figures, "growth."), "memory": _group(figures, "memory.")}
    for name in dict.fromkeys(name.partition(".")[0] for name in (*SECTIONS, *ON_REQUEST, *figures)):
        content = groups.get(name) or figures.get(name)
        if content:
            tables = "\n\n".join([*TABLES.get(name, _nothing)(content), *_rest(content)])
            parts.append(f"\n== {name} ==\n\n{tables}")
    missing = [name for name in (*SECTIONS, *ON_REQUEST) if name not in sections]
    parts += ["\n== where the figures come from ==\n", _origins(sections)]
    if missing:
        parts.append(f"\nNot measured: {', '.join(missing)} (python eval/speed.py LFW --only {','.join(missing)})")
    return "\n".join(parts)


def _group(figures: Mapping[str, Figures], prefix: str) -> Figures:
    """The sections of one name, by the rest of their names; to be taken apart without touching the figures."""
    return {name.removeprefix(prefix): dict(one) for name, one in figures.items() if name.startswith(prefix)}


def _origins(sections: Mapping[str, Any]) -> str:
    rows = []
    for name, section in sections.items():
        origin = section["provenance"]
        machine = f"{origin['machine']['processor']}, {origin['machine']['cores']} cores"
        rows.append((name, origin["date"][:16], origin["commit"] or "-", machine, origin.get("command", "-")))
    return tabulate(rows, headers=("section", "date", "commit", "machine", "command"), disable_numparse=True)


def grid(title: str, rows: Rows, first: str = "", columns: Iterable[str] = ()) -> str:
    """One table: a line a row, a column for each key that any row has, ``columns`` first."""
    flat = {name: dict(leaves(row)) for name, row in rows.items()}
    keys = list(dict.fromkeys([*columns, *(key for row in flat.values() for key in row)]))
    body = [(name, *(shown(row.get(key, "")) for key in keys)) for name, row in flat.items()]
    align = ("left", *["right"] * len(keys))
    return f"{title}\n" + tabulate(body, headers=(first, *keys), colalign=align, disable_numparse=True)


def turned(columns: Rows) -> dict[str, dict[str, Any]]:
    """What was a column as a row and the other way round."""
    flat = {name: dict(leaves(column)) for name, column in columns.items()}
    keys = dict.fromkeys(key for column in flat.values() for key in column)
    return {key: {name: column[key] for name, column in flat.items() if key in column} for key in keys}


def leaves(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """(keys, value) of everything that is no dictionary."""
    for key, inner in value.items():
        name = f"{before}, {key}" if before else str(key)
        if isinstance(inner, Mapping):
            yield from leaves(inner, name)
        else:
            yield name, inner


def shown(value: Any) -> str:
    """A figure with four digits."""
    if isinstance(value, list):
        return " ".join(shown(item) for item in value) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _rest(figures: Figures) -> Iterator[str]:
    """Whatever no table has taken."""
    lines = [(name, shown(value)) for name, value in leaves(figures)]
    if lines:
        yield tabulate(lines, tablefmt="plain", disable_numparse=True)


def _nothing(figures: Figures) -> Iterator[str]:
    yield from ()


def _scoring(figures: Figures) -> Iterator[str]:
    cases = {case: dict(found) for case, found in figures.pop("all pairs", {}).items()}
    rates = {
        case: {**found.pop("Mpairs/s", {}), "limit": found.pop("limit, Mpairs/s", "")} for case, found in cases.items()
    }
    yield grid("All pairs, million a second", turned(rates))
    yield grid("The same, ours in relation", turned(cases))
    yield grid("Error against float64", turned(figures.pop("error", {})))
    yield grid("LFW, all unordered pairs counted", figures.pop("whole LFW", {}))
    kinds = figures.pop("top-k", {})
    rows = {f"{kind}, {k}": row for kind, one in kinds.items() for k, row in one.items() if isinstance(row, Mapping)}
    sizes: Figures = next(iter(kinds.values()), {})
    yield grid(f"The best k of a gallery of {sizes.get('gallery')}, {sizes.get('probes')} probes", rows)


def _extraction(figures: Figures) -> Iterator[str]:
    rates, ratios = figures.pop("images/s", {}), figures.pop("ratios", {})
    rows: dict[str, dict[str, Any]] = {name: {"photographs/s": rate} for name, rate in rates.items()}
    for name, ratio in ratios.items():
        ours, _, peer = name.partition(" / ")
        rows.setdefault(peer, {})[f"{ours} is so many times"] = ratio
    yield grid("JPEG files to a stored result", rows)
    for name in [name for name in figures if name.startswith("agreement")]:
        yield grid(name[0].upper() + name[1:], figures.pop(name), "detector")
    if "chips" in figures:
        yield grid("Aligned chips", {"": figures.pop("chips")})


def _detectors(figures: Figures) -> Iterator[str]:
    rows = figures.pop("detectors", [])
    yield grid(
        "Detectors by smallest face", {f"{row['detector']}, {row['min face']} px": row for row in map(dict, rows)}
    )


_ENGINE_COLUMNS = {
    "chips_per_second": "chips/s",
    "one_chip_ms": "one chip, ms",
    "ratio": "times torch",
    "load_seconds": "load, s",
}


def _engines(figures: Figures) -> Iterator[str]:
    rows: dict[str, dict[str, Any]] = {}
    for name, one in figures.pop("engines", {}).items():
        row = {_ENGINE_COLUMNS.get(key, key): value for key, value in one.items() if key not in ("name", "parity")}
        parity = {key: value for key, value in (one.get("parity") or {}).items() if key != "precision"}
        rows[name] = {**row, **{f"largest {key.replace('_', ' ')}": value for key, value in parity.items()}}
    yield grid(f"Engines, batch of {figures.get('batch')}", rows, "engine", _ENGINE_COLUMNS.values())


def _training(figures: Figures) -> Iterator[str]:
    yield grid("Both cross-fitted PFE heads from cached features, seconds", figures.pop("both heads", {}), "variance")
    extraction = dict(figures.pop("extraction", {}))
    works = {key: extraction.pop(key, {}) for key in ("chips a second", "processor milliseconds a chip")}
    yield grid("Features of the four training views", turned(works))
    yield from _rest(extraction)
    yield grid("Memory, MB", {"": {k.removesuffix(", MB"): v for k, v in figures.pop("memory", {}).items()}})


def _methods(figures: Figures) -> Iterator[str]:
    rows = {name: figures.pop(name) for name in list(figures)}
    yield grid("Both cross-fitted heads of every method, seconds", rows, "method")


def _growth(figures: Figures) -> Iterator[str]:
    seconds: dict[str, dict[str, Any]] = {}
    peaks: dict[str, dict[str, Any]] = {}
    for work, one in figures.items():
        seconds[work] = dict(zip(map(_size, one.pop("N")), one.pop("seconds"), strict=True))
        for key in [key for key in one if key.startswith("peak memory")]:
            peaks[f"{work}{key.removeprefix('peak memory').removesuffix(', MB')}"] = {
                _size(size): peak for size, peak in one.pop(key).items()
            }
    sizes = sorted({size for row in seconds.values() for size in row}, key=_number)
    yield grid("Seconds by N", seconds, "work", sizes)
    fits = {work: {key: one.pop(key) for key in list(one)} for work, one in figures.items()}
    yield grid("Fitted powers of N", fits, "work")
    if peaks:
        yield grid("Peak of private memory by N, MB", peaks, "work")


def _size(size: int | str) -> str:
    return f"{int(size):,}"


def _number(size: str) -> int:
    return int(size.replace(",", ""))


def _memory(figures: Figures) -> Iterator[str]:
    rows = {name: figures.pop(name) for name in list(figures)}
    yield grid("A long extraction: resident memory, MB", rows)


TABLES: dict[str, Callable[[Figures], Iterator[str]]] = {
    "scoring": _scoring,
    "extraction": _extraction,
    "detectors": _detectors,
    "engines": _engines,
    "training": _training,
    "methods": _methods,
    "growth": _growth,
    "memory": _memory,
}
