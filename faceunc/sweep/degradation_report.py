"""What a sweep of degradations gives: rows, a table, and two pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabulate import tabulate

from faceunc.evaluation.report import FEW, EvalReport
from faceunc.storage import atomic_path
from faceunc.sweep.degradation_chips import KindView
from faceunc.sweep.degradation_figures import FMR, QUANTILES, REFUSED_CLEAN, REPLICATES, TARGETS
from faceunc.sweep.degradation_kinds import CLEAN_KIND, amount

_LABELS = ("kind", "severity", "amount", "score")
_SHOWN = {  # name in the table -> in the rows
    **{name: name for name in ("z genuine", "z impostor", "z own", "accuracy")},
    "re-fitted": "re-fitted accuracy",
    **{name: name for name in ("FMR", "FNMR", "TAR@FAR 0.01", "TAR@FAR 0.001", "EER", "d'", "sigma", "refused")},
    **{name: name for name in ("guarded FMR", "kept FMR", "kept FNMR")},
}
_LEAST_KEPT = 10  # errors of fewer pairs that are left are no figures
MEANS = ("genuine", "impostor", "own")
_ENDS = (("", ""), ("low ", ""), ("high ", ""))


@dataclass
class DegradationReport(EvalReport):
    """Rows of the sweep: one a condition and score, the clean photographs first (kind "none").

    Attributes:
        methods: (name in tables, head, score) of all that is compared. genuine, impostors: how many pairs were
            compared. show_kind: the kind that the picture of pairs shows; the first one when it is empty.
    """

    methods: list[tuple[str, str, str]] = field(default_factory=list)
    genuine: int = 0
    impostors: int = 0
    show_kind: str = ""

    def add_cell(self, view: KindView, figures: dict[str, Any]) -> None:
        """Add the rows of one condition; the clean one must come first: means are standardised by it.

        Errors among the pairs that are not refused are left out (None) where fewer than ten of them are left.
        """
        for name, head, _ in self.methods:
            own = dict(figures["scores"][name])
            for error, kind, count in (("FMR", "impostor", self.impostors), ("FNMR", "genuine", self.genuine)):
                if round(count * (1.0 - own[f"refused {kind}"])) < _LEAST_KEPT:
                    own |= {f"{end}kept {error}": None for end in ("", "low ", "high ")}
            clean = next((row for row in self.rows if row["score"] == name), own)
            labels = {"kind": view.kind, "severity": view.severity, "amount": amount(view.kind, view.severity)}
            standard = {
                f"{end}z {mean}{level}": standardised(own[f"{end}{mean}{level}"], clean)
                for mean in MEANS
                for end, level in (*_ENDS, *(("", f" q{level:g}") for level in QUANTILES))
            }
            standard["z threshold"] = standardised(own["threshold"], clean)
            self.rows.append({**labels, "score": name, "head": head, **own, **standard, **figures["sigma"][head]})

    def describe(self, side: str, seed: int, images: int, without_odds: str = "") -> None:
        """Say how the figures came about. without_odds: why there are no log-odds, where there are none."""
        self.extra["sweep"] = {
            "degraded": "both photographs of a pair" if side == "both" else "the second photograph of a pair",
            "seed": seed,
            "pairs": f"{self.genuine} genuine, {self.impostors} impostor",
            "photographs of the pairs": images,
            "chip": f"{self.bench.source.backbone.spec.input_size} px",
        }
        self.extra["how"] = {
            "z genuine, z impostor": "mean score, 0 the clean impostors' and 1 the clean genuine pairs' (raw: JSON)",
            "z own": "the same for a photograph and its own degraded version",
            "accuracy": "threshold chosen on clean pairs of the other folds; re-fitted: on degraded ones",
            "FMR, FNMR": f"threshold of FMR {FMR:g} on clean pairs of the other folds",
            "d'": "(mean genuine - mean impostor) / root of the mean of both variances",
            "sigma": "mean over the degraded photographs (harmonic over dimensions); quantiles: JSON",
            "refused": f"share of pairs whose larger sigma exceeds the one that refuses {REFUSED_CLEAN:.0%} of the "
            "clean pairs of the other folds; cosine: by the head named in the JSON",
            "guarded FMR": "share of all impostor pairs that are accepted, a refused pair not being accepted",
            "kept FMR, kept FNMR": "FMR and FNMR of the pairs that are not refused; empty if fewer than ten are left",
            "log-odds": f"left out: {without_odds}"
            if without_odds
            else "log-likelihood ratio, one person against two, of a calibrator that reads similarity, MLS and both "
            "sigmas; fitted on other people's clean photographs and photographs of mixed degradation",
            "low, high (JSON)": f"ends of 95% intervals over {REPLICATES} resamples of the subjects",
        }
        if self._few:
            self.extra["few"] = dict.fromkeys(self._few, "rests on fewer than ten impostors")

    @property
    def _few(self) -> list[str]:
        return [f"TAR@FAR {target:g}" for target in TARGETS if target * self.impostors < 10]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """Rows of one kind, severity rising, the clean photographs in front."""
        return [row for row in self.rows if row["kind"] in (CLEAN_KIND, kind)]

    @property
    def kinds(self) -> list[str]:
        """Kinds in the order in which they were swept."""
        return [kind for kind in dict.fromkeys(row["kind"] for row in self.rows) if kind != CLEAN_KIND]

    def table(self) -> str:
        """The rows for a terminal, and how to read them."""
        source = self.bench.source
        lines = [
            f"{self.what} on {self.options.data}, backbone {source.backbone.spec.name} ({source.backbone.precision})"
        ]
        header = [*_LABELS, *(name + FEW * (name in self._few) for name in _SHOWN)]
        columns = [*_LABELS, *_SHOWN.values()]
        digits = ["g" if name in _LABELS else ".2f" if name[:2] in ("z ", "d'") else ".4f" for name in columns]
        lines.append(tabulate([[row[name] for name in columns] for row in self.rows], header, floatfmt=digits))
        for title in ("sweep", "how"):
            lines.append(f"\n{title}:")
            lines += [f"  {name}: {text}" for name, text in self.extra[title].items()]
        lines += [f"warning: {line}" for line in self.bench.warnings]
        return "\n".join(lines)

    def write(self, path: Path) -> list[Path]:
        """Write JSON, table and the grid (see :class:`EvalReport`), and the picture of pairs: ``NAME-pairs.png``."""
        from faceunc.plots.sweep import save_grid, save_pairs

        title = f"{self.bench.source.backbone.spec.name}, {self.extra['sweep']['degraded']} degraded"
        self.save_figure = lambda png: save_grid(self, png, title)
        written = super().write(path)
        pairs = path.with_name(f"{path.stem}-pairs.png")
        with atomic_path(pairs) as temporary:
            save_pairs(self.of_kind(self.show_kind or self.kinds[0]), temporary, title)
        return [*written, pairs]


def standardised(value: float | None, clean: dict[str, Any]) -> float | None:
    """A mean score on a scale on which the clean impostors' is 0 and the clean genuine pairs' 1."""
    if value is None:
        return None
    return float((value - clean["impostor"]) / (clean["genuine"] - clean["impostor"]))
