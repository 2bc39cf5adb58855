"""What an evaluation gives: rows of figures, curves, and where they came from; as JSON, table and picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from faceunc.metrics.bootstrap import subject_bootstrap
from faceunc.metrics.sorted_scores import SortedScores, sort_scores
from faceunc.metrics.verification import kfold_accuracy
from faceunc.protocols.pairs import PairProtocol
from faceunc.provenance import provenance
from faceunc.storage import atomic_path, atomic_write

if TYPE_CHECKING:
    from faceunc.evaluation.bench import Bench, EvalOptions


PAIR_TARGETS = (1e-1, 1e-2, 1e-3)
REPLICATES = 200


@dataclass(frozen=True)
class Curve:
    """Some exact points of one method's ROC: FAR and TAR, ascending, FAR above 0."""

    name: str
    far: NDArray[np.float64]
    tar: NDArray[np.float64]


@dataclass
class EvalReport:
    """Rows of one evaluation.

    Attributes:
        what: name of the evaluation. options, bench: what was run.
        rows: one dict a method, labels first, then figures. curves: for the ROC figure. extra: further tables.
        save_figure: draws another picture than the ROC. command: what wrote it, when it was not ``faceunc``.
    """

    what: str
    options: EvalOptions
    bench: Bench
    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    save_figure: Callable[[Path], None] | None = None
    command: str = ""

    def add(self, labels: dict[str, Any], figures: dict[str, float]) -> None:
        """Append one row."""
        self.rows.append({**labels, **figures})

    def add_curve(self, name: str, scores: SortedScores) -> None:
        """Keep the ROC of these scores for the figure."""
        self.curves.append(Curve(name, *scores.curve()))

    def table(self) -> str:
        """The rows for a terminal, and the extra tables below them."""
        spec, landmarks = self.bench.source.backbone.spec, self.bench.source.landmarks
        shown = [
            {k: v for k, v in row.items() if not k.startswith(("far ", "std ", "low ", "high "))} for row in self.rows
        ]
        text = [f"{self.what} on {self.options.data}, backbone {spec.name} ({self.bench.source.backbone.precision})"]
        text.append(tabulate(shown, headers="keys", floatfmt=".4f"))
        for name, values in self.extra.items():
            if isinstance(values, dict) and all(isinstance(v, dict) for v in values.values()):
                text.append(f"\n{name}")
                text.append(tabulate([{"": k, **v} for k, v in values.items()], headers="keys", floatfmt=".3f"))
            elif isinstance(values, dict):
                text.append(f"\n{name}: " + "; ".join(f"{k} {_words(v)}" for k, v in values.items()))
        text += [f"warning: {line}" for line in self.bench.warnings]
        text.append(f"\nphotographs: {', '.join(f'{count} {state}' for state, count in landmarks.counts().items())}")
        for variance, fit in self.bench.heads.items():
            for part, report in enumerate(fit.collapse):
                text += [f"warning, {variance}, part {part}: {line}" for line in report.get("warnings", [])]  # type: ignore[attr-defined]
        return "\n".join(text)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the curves, JSON-ready."""
        source = self.bench.source
        return {
            "evaluation": self.what,
            "rows": self.rows,
            **self.extra,
            "backbone": {**asdict(source.backbone.spec), "precision": source.backbone.precision},
            "data": {
                "folder": self.options.data.name,
                "sha256": source.photos.sha256,
                "photographs": len(source.photos),
                **source.landmarks.counts(),
            },
            "detector": source.detector_name,
            "training": None if self.bench.given_head else self._training(),
            "people of the protocol": self.bench.people,
            "heads": {
                name: [{"sha256": h.sha256, "spread": h.head.config.spread} for h in fit.heads]
                for name, fit in self.bench.heads.items()
            },
            "collapse check": {name: fit.collapse for name, fit in self.bench.heads.items()},
            "provenance": provenance() | ({"command": self.command} if self.command else {}),
        }

    def _training(self) -> dict[str, Any]:
        """On what, and how, the cross-fitted heads were trained."""
        photos = (self.bench.training or self.bench).source.photos
        on = {"folder": photos.root.name, "sha256": photos.sha256}
        made = {"norm": self.options.norm, "methods": list(self.options.methods)}
        return {**asdict(self.options.train), **made, "on": on}

    def write(self, path: Path) -> list[Path]:
        """Write ``path`` (JSON), and beside it the table (.txt) and the figure (.png). Raises OutputError."""
        from faceunc.plots.roc import save_roc

        atomic_write(path, (json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n").encode())
        atomic_write(path.with_suffix(".txt"), (self.table() + "\n").encode())
        with atomic_path(path.with_suffix(".png")) as temporary:
            if self.save_figure:
                self.save_figure(temporary)
            else:
                save_roc(self.curves, temporary, f"{self.what}, {self.bench.source.backbone.spec.name}")
        return [path, path.with_suffix(".txt"), path.with_suffix(".png")]


def pair_figures(scores: NDArray[np.float32], pairs: PairProtocol) -> dict[str, float]:
    """Accuracy over the folds, TAR at FAR 1e-1 to 1e-3 with the achieved FAR, EER."""
    figures = {}
    if pairs.num_folds > 1:
        folds = kfold_accuracy(scores, pairs.same, pairs.fold)
        figures = {"accuracy": folds.mean, "std accuracy": folds.std}
    ordered = sort_scores(scores, pairs.same)
    return {**figures, **far_figures(ordered, PAIR_TARGETS), "eer": ordered.equal_error_rate()}


def _words(value: Any) -> str:
    """A value of an extra table in one line."""
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def pair_intervals(scores: NDArray[np.float32], pairs: PairProtocol) -> dict[str, float]:
    """Ends of the 95% intervals of TAR at FAR 1e-1 to 1e-3 and of the EER, over resamples of the subjects.

    Empty where the protocol does not say who is in a pair, or has too few subjects for it.
    """

    def statistic(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        ordered = sort_scores(scores[rows], pairs.same[rows])
        return np.array([*(ordered.tar_at_far(target).tar for target in PAIR_TARGETS), ordered.equal_error_rate()])

    if not pairs.first_subject:
        return {}
    try:
        found = subject_bootstrap(statistic, pairs.first_subject, pairs.second_subject, REPLICATES)
    except ValueError:
        return {}
    names = [*(f"TAR@FAR {target:g}" for target in PAIR_TARGETS), "eer"]
    ends = {"low": np.asarray(found.low), "high": np.asarray(found.high)}
    return {f"{end} {name}": float(values[i]) for end, values in ends.items() for i, name in enumerate(names)}


def far_figures(scores: SortedScores, targets: Sequence[float]) -> dict[str, float]:
    """TAR at each FAR, and the achieved FAR."""
    points = [scores.tar_at_far(target) for target in targets]
    tars = {f"TAR@FAR {p.target:g}" + ("" if p.reliable else FEW): p.tar for p in points}
    return {**tars, **{f"far at {p.target:g}": p.far for p in points}}


FEW = " (few)"  # stands behind a figure's name when fewer than ten impostors are behind it


def mean_figures(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of every figure over seeds, and the standard deviation of each TAR between seeds."""
    return averaged(rows, "over seeds")


def averaged(rows: list[dict[str, float]], over: str = "") -> dict[str, float]:
    """Mean of every figure over rows, with the deviation of each TAR where it is said ``over`` what.

    A figure is marked "(few)" when it is in any of the rows.
    """
    plain = [{key.removesuffix(FEW): value for key, value in row.items()} for row in rows]
    few = {key.removesuffix(FEW) for row in rows for key in row if key.endswith(FEW)}
    keys = [key for key in plain[0] if all(key in row for row in plain)]
    means = {key + FEW * (key in few): float(np.mean([row[key] for row in plain])) for key in keys}
    tars = [key for key in keys if key.startswith("TAR") and over]
    return means | {f"std {key} {over}": float(np.std([row[key] for row in plain])) for key in tars}
