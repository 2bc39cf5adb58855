"""The picture of an IJB evaluation: verification and identification side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceunc.evaluation.report import EvalReport

_SHOWN = 10


def save_ijb(report: EvalReport, path: Path) -> None:
    """ROC of the baselines and of the best methods; TAR at FAR 1e-4 and TPIR at FPIR 1e-2 of every method as bars."""
    from matplotlib.figure import Figure

    rows = report.rows
    names = [f"{row['pooling']}, {row['score']}" for row in rows]
    tar = [_figure(row, "TAR@FAR 0.0001") for row in rows]
    tpir = [_figure(row, "TPIR@FPIR 0.01") for row in rows]
    plain = {i for i, row in enumerate(rows) if row["pooling"].startswith("mean")}
    best = sorted(set(range(len(rows))) - plain, key=lambda i: -tar[i])[: _SHOWN - len(plain)]
    figure = Figure(figsize=(17, 0.26 * len(rows) + 2.5), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 1.1)})
    for number in [*sorted(plain), *best]:
        curve = report.curves[number]
        left.step(curve.far, curve.tar, "--" if number in plain else "-", where="post", label=curve.name, linewidth=1.3)
    lowest = max(min(float(curve.far[0]) for curve in report.curves), 1e-6)
    left.set(xscale="log", xlabel="FAR", ylabel="TAR", xlim=(lowest, 1), ylim=(0, 1.005), title="1:1 verification")
    left.legend(fontsize=7, loc="lower right")
    left.grid(alpha=0.3)
    places = range(len(rows))
    right.barh([p - 0.2 for p in places], tar, 0.4, label="TAR at FAR 1e-4")
    if any(tpir):
        right.barh([p + 0.2 for p in places], tpir, 0.4, label="TPIR at FPIR 1e-2 (1:N)")
    right.set_yticks(list(places), names, fontsize=7)
    right.invert_yaxis()
    right.grid(alpha=0.3, axis="x")
    right.legend(fontsize=8)
    figure.suptitle(f"{report.what}, {report.bench.source.backbone.spec.name}")
    figure.savefig(path, dpi=110, format="png")


def _figure(row: dict[str, Any], name: str) -> float:
    """A figure of a row, whether or not it rests on few comparisons; 0 where there is none."""
    return float(next((value for key, value in row.items() if key.removesuffix(" (few)") == name), 0.0))
