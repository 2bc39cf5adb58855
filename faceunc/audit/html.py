"""The report as one HTML file: pictures inside it, no network, no script."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from faceunc.audit.summary import MEASURES
from faceunc.names import readable

MOST_ROWS = 50  # of a table in the page; the JSON has all
_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 1180px; margin: 1.5em auto; padding: 0 1em; color: #111; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #bbb; }
table { border-collapse: collapse; margin: .6em 0; } th, td { padding: .2em .7em; text-align: left; }
th { border-bottom: 2px solid #333; } td { border-bottom: 1px solid #ddd; } td.number { text-align: right; }
td { overflow-wrap: anywhere; vertical-align: top; } img { max-width: 100%; } .note { color: #444; }
.warning { border-left: 4px solid #D55E00; padding-left: .8em; }
"""


def page(
    figures: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    faces: Mapping[str, bytes],
    title: str,
    warnings: Sequence[str] = (),
) -> str:
    """The whole page.

    Args:
        figures: of :func:`summarise`. pictures: PNG or JPEG files by name: "log_var", "dimensions", "against",
            "severity", "quantiles", "extremes"; one that is missing is left out.
        faces: small JPEG files by photograph, for the table of poor ones.
    """
    refusal = figures["refusal"]
    share = refusal["beyond"] / figures["embedded"]
    parts = [
        f"<h1>{_text(title)}</h1>",
        *(f'<p class="warning">{_text(line)}</p>' for line in warnings),
        f"<p>{figures['photographs']} photographs, {figures['embedded']} embedded, "
        f"<b>{refusal['beyond']} ({share:.1%}) beyond the refusal limit</b>, {len(figures['failed'])} not usable. "
        f"Limit: sigma {refusal['sigma']:.4g}; {_text(refusal['origin'])}. "
        f"Head {_text(figures['head']['head'])}, backbone {_text(figures['head']['backbone'])}.</p>",
        *_distribution(figures, pictures),
        *_faces(pictures),
        *_poor(figures, faces),
        *_people(figures),
        *_against(figures, pictures),
        *_severity(figures, pictures),
        *_failures(figures),
    ]
    head = f'<meta charset="utf-8"><title>{_text(title)}</title><style>{_STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _distribution(figures: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[str]:
    groups = figures["groups"]
    columns = list(next(iter(groups.values())))
    rows = [[name, *(row[column] for column in columns)] for name, row in groups.items()]
    parts = [
        "<h2>How uncertain</h2>",
        '<p class="note">log_var is the logarithm of the variance that the head gives a photograph (over dimensions: '
        "of their harmonic mean); sigma is the root of the variance. Higher = less certain. Columns: quantiles.</p>",
        _image(pictures, "log_var", "distribution of log_var"),
        _table(["set", *columns], rows),
    ]
    dimensions = figures["dimensions"]
    if dimensions:
        spread = dimensions["mean of each"]
        words = ", ".join(f"{share}: {value:.2f}" for share, value in spread.items())
        parts += [
            f"<p>One variance for each of {dimensions['dimensions']} dimensions. Mean log_var of a dimension, "
            f"quantiles over dimensions: {words}. Standard deviation over the dimensions of one photograph "
            f"{dimensions['within a photograph']:.2f}, between photographs "
            f"{dimensions['between photographs']:.2f}.</p>",
            _image(pictures, "dimensions", "log_var of every dimension"),
        ]
    return parts


def _faces(pictures: Mapping[str, bytes]) -> list[str]:
    return [
        "<h2>What sigma looks like</h2>",
        _image(pictures, "quantiles", "faces at the quantiles of sigma"),
        _image(pictures, "extremes", "lowest and highest sigma"),
    ]


def _poor(figures: Mapping[str, Any], faces: Mapping[str, bytes]) -> list[str]:
    rows = figures["poor"][:MOST_ROWS]
    named = ", ".join(f"{_text(kind)} {count}" for kind, count in figures["flaws"].items())
    parts = [
        "<h2>Poor photographs, and why</h2>",
        f"<p>Flaws named, over all {figures['embedded']} photographs: {named}.</p>",
        '<p class="note">From simple measurements of the face. The likelihoods were measured on degraded LFW faces, '
        "half of all faces being as they are; where nothing is conspicuous the head knows something that the "
        "measurements do not. Occlusion is a weak guess: only even patches are seen.</p>",
    ]
    if not rows:
        return [*parts, "<p>None is beyond the limit.</p>"]
    lines = []
    for row in rows:
        why = (
            "<br>".join(f"{_text(f['sentence'])} [{f['likelihood']:.2f}]" for f in row["flaws"])
            or "nothing conspicuous"
        )
        face = faces.get(row["photo"])
        picture = f'<img alt="" width="72" height="72" src="{_uri(face)}">' if face else ""
        lines.append(f"<tr><td>{picture}</td><td>{_text(row['photo'])}</td>{_cell(row['sigma'])}<td>{why}</td></tr>")
    head = "<tr><th></th><th>photograph</th><th>sigma</th><th>probably [likelihood]</th></tr>"
    return [*parts, f"<table>{head}{''.join(lines)}</table>", _rest(len(figures["poor"]))]


def _people(figures: Mapping[str, Any]) -> list[str]:
    people = figures["people"]
    if not people:
        return []
    refused = sum(row["refused"] for row in people)
    touched = sum(row["share"] > 0 for row in people)
    columns = ["person", "photographs", "unusable", "beyond", "share", "median sigma"]
    rows = [[*(row[name] for name in columns), "altogether" if row["refused"] else ""] for row in people[:MOST_ROWS]]
    return [
        "<h2>Which people would be refused</h2>",
        f"<p>{len(people)} people (sub-folders): {refused} have no usable photograph within the limit, "
        f"{touched - refused} more lose some of theirs.</p>",
        _table([*columns[:2], "not usable", "beyond the limit", "share of both", "median sigma", "refused"], rows),
        _rest(len(people)),
    ]


def _against(figures: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[str]:
    rows = [
        [MEASURES[name], row["photographs"], "too few" if row["rank correlation"] is None else row["rank correlation"]]
        for name, row in figures["correlations"].items()
    ]
    return [
        "<h2>sigma against what can be measured</h2>",
        _image(pictures, "against", "sigma against simple measurements"),
        _table(["measurement", "photographs", "rank correlation with sigma"], rows),
    ]


def _severity(figures: Mapping[str, Any], pictures: Mapping[str, bytes]) -> list[str]:
    if "degraded" not in figures:
        return []
    rows = [
        [name, row["photographs"], "too few" if row["rank correlation"] is None else row["rank correlation"]]
        for name, row in figures["degraded"].items()
    ]
    return [
        "<h2>The same photographs, degraded</h2>",
        _image(pictures, "severity", "sigma against severity"),
        _table(["degradation", "photographs", "rank correlation of sigma with severity"], rows),
    ]


def _failures(figures: Mapping[str, Any]) -> list[str]:
    failed = figures["failed"]
    if not failed:
        return []
    counts = ", ".join(f"{_text(kind)} {count}" for kind, count in figures["failures"].items())
    rows = [[row["photo"], row["kind"], row["message"].removeprefix(f"{row['photo']}: ")] for row in failed[:MOST_ROWS]]
    return [
        "<h2>Not usable</h2>",
        f"<p>{counts}.</p>",
        _table(["photograph", "kind", "what happened"], rows),
        _rest(len(failed)),
    ]


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(f"<th>{_text(title)}</th>" for title in head)
    lines = ("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{''.join(lines)}</table>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.{3 if abs(value) >= 0.1 else 4}f}</td>'
    return f'<td class="number">{value}</td>' if isinstance(value, int) else f"<td>{_text(value or '')}</td>"


def _rest(count: int) -> str:
    return f'<p class="note">The first {MOST_ROWS} of {count}; the JSON has all.</p>' if count > MOST_ROWS else ""


def _image(pictures: Mapping[str, bytes], name: str, words: str) -> str:
    return f'<p><img alt="{words}" src="{_uri(pictures[name])}"></p>' if name in pictures else ""


def _uri(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _text(value: object) -> str:
    """Text that is safe in HTML; bytes of a name that are no UTF-8 become a replacement character."""
    return escape(readable(str(value)))
