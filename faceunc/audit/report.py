"""From an audit to its files: the page, the figures as JSON, the contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceunc.audit.collect import Audit, Chips, chips_of
from faceunc.audit.html import MOST_ROWS, page
from faceunc.audit.limits import Limit
from faceunc.audit.sheets import Tile, encoded, sheet, thumbnail, wrap
from faceunc.audit.summary import FEWEST, LOGARITHMIC, MEASURES, SHARES, measured, summarise
from faceunc.embedder import Embedder
from faceunc.embeddings import harmonic_log_var
from faceunc.plots.audit import grid_figure, plot_against, plot_dimensions, plot_log_var, plot_severity, png
from faceunc.provenance import provenance
from faceunc.storage import atomic_write
from faceunc.training.crossfit import hash_identities

EXTREMES, COLUMNS, AT_QUANTILE = 24, 12, 8


@dataclass(frozen=True)
class Written:
    """The figures, and the files that hold them."""

    figures: dict[str, Any]
    files: list[Path]


def write_report(audit: Audit, embedder: Embedder, limit: Limit, path: Path, title: str) -> Written:
    """Write ``path`` (HTML), and beside it the figures (.json) and the contact sheet (.png).

    Faces are cut anew out of the photographs that are shown, at most some hundred and fifty of them.

    Raises:
        OutputError: a file cannot be written.
    """
    figures = summarise(audit, limit)
    figures["warnings"] = too_few(len(audit.embeddings)) + known_people(audit, embedder)
    order = np.argsort(audit.embeddings.sigma, kind="stable")
    ends = min(EXTREMES, len(order) // 2) or 1
    lowest, highest = order[:ends], order[::-1][:ends]
    near = _near_quantiles(order)
    worst = [row["photo"] for row in figures["poor"][:MOST_ROWS]]
    names = [audit.photos[row] for row in [*lowest, *highest, *(row for rows in near.values() for row in rows)]]
    chips = chips_of(embedder, list(dict.fromkeys([*names, *worst])))
    extremes = sheet(
        wrap(f"lowest sigma of {len(order)}", _tiles(audit, chips, lowest), COLUMNS)
        + wrap(f"highest sigma of {len(order)}", _tiles(audit, chips, highest), COLUMNS)
    )
    across = [(f"{share}", _tiles(audit, chips, rows)) for share, rows in near.items()]
    pictures = {**_plots(audit, limit, figures), "extremes": encoded(extremes), "quantiles": encoded(sheet(across))}
    faces = {name: encoded(thumbnail(chips[name])) for name in worst if name in chips}
    html = page(figures, pictures, faces, title, figures["warnings"])
    atomic_write(path, html.encode("utf-8"))
    atomic_write(path.with_suffix(".png"), encoded(extremes, "PNG"))
    figures["provenance"] = provenance()
    atomic_write(path.with_suffix(".json"), (json.dumps(figures, indent=1, allow_nan=False) + "\n").encode())
    return Written(figures, [path, path.with_suffix(".json"), path.with_suffix(".png")])


def too_few(count: int) -> list[str]:
    """A warning where there is little to tell distributions from."""
    if count >= FEWEST:
        return []
    one = "1 photograph" if count == 1 else f"{count} photographs"
    return [f"Only {one} could be used: distributions say little, and rank correlations are left out."]


def known_people(audit: Audit, embedder: Embedder) -> list[str]:
    """A warning where the head was trained on some of these people: its sigma may then look better than it is."""
    known = set(embedder.head.card.get("identity_hashes") or [])
    people = {person.rsplit("/", 1)[-1] for person in audit.person if person}
    shared = known & set(hash_identities(people))
    if not shared:
        return []
    return [
        f"The head was trained on {len(shared)} people of {len(people)} with these names: what is told of sigma here "
        "is for a look, and no proof of how it does on strangers."
    ]


def _near_quantiles(order: NDArray[np.int64]) -> dict[str, list[int]]:
    """A few photographs nearest in rank to each quantile of sigma; none twice in one row."""
    found = {}
    for share in SHARES:
        middle = round(share * (len(order) - 1))
        start = min(max(0, middle - AT_QUANTILE // 2), max(0, len(order) - AT_QUANTILE))
        found[f"{share:.0%} are below"] = [int(row) for row in order[start : start + AT_QUANTILE]]
    return found


def _tiles(audit: Audit, chips: Chips, rows: Sequence[int] | NDArray[np.int64]) -> list[Tile]:
    sigma = audit.embeddings.sigma
    return [Tile(chips.get(audit.photos[row]), f"sigma {sigma[row]:.4f}") for row in rows]


def _plots(audit: Audit, limit: Limit, figures: dict[str, Any]) -> dict[str, bytes]:
    """All figures as PNG files, by the name that the page knows them by."""
    log_var, group = harmonic_log_var(audit.embeddings.log_var), np.array(audit.group, object)
    by_group = {name: log_var[group == name] for name in dict.fromkeys(audit.group)}
    figure, (ax,) = grid_figure(1, width=8.5, height=3.6)
    plot_log_var(by_group, limit.sigma, ax)
    pictures = {"log_var": png(figure)}
    if audit.embeddings.log_var.shape[1] > 1 and len(log_var) > 1:
        figure, (ax,) = grid_figure(1, width=8.5, height=3.2)
        plot_dimensions(audit.embeddings.log_var.astype(np.float64), ax)
        pictures["dimensions"] = png(figure)
    usable = {name: values for name, values in measured(audit).items() if np.isfinite(values).sum() > 1}
    if usable:
        figure, axes = grid_figure(len(usable))
        for ax, (name, values) in zip(axes, usable.items(), strict=True):
            correlation = figures["correlations"][name]["rank correlation"]
            sigma = audit.embeddings.sigma.astype(np.float64)
            plot_against(sigma, values, MEASURES[name], correlation, ax, name in LOGARITHMIC)
        pictures["against"] = png(figure)
    if audit.degraded is not None and len(audit.degraded.photos):
        kinds = sorted({how.kind for how in audit.degraded.how})
        kind = np.array([how.kind for how in audit.degraded.how], object)
        severity = np.array([how.severity for how in audit.degraded.how])
        sigma = audit.degraded.sigma.astype(np.float64)
        figure, (ax,) = grid_figure(1, width=8.5, height=3.6)
        plot_severity({name: (severity[kind == name], sigma[kind == name]) for name in kinds}, ax)
        pictures["severity"] = png(figure)
    return pictures
