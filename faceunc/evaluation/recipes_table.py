"""Rows of figures, one list a seed, as one table: means and standard deviations over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One line of one seed: labels say what, figures how much."""

    labels: dict[str, Any]
    figures: dict[str, float]


def over_seeds(runs: Sequence[Sequence[Row]]) -> list[dict[str, Any]]:
    """Labels, mean of every figure, and "std ..." (n - 1; 0 for one seed), in the order of the first seed.

    Raises:
        ValueError: a seed lacks a row, or a figure, that the first has.
    """
    found = []
    for first in runs[0]:
        same = [row.figures for run in runs for row in run if row.labels == first.labels]
        if len(same) != len(runs) or any(set(figures) != set(first.figures) for figures in same):
            raise ValueError(f"every seed must have one row {first.labels}, with the same figures.")
        line: dict[str, Any] = dict(first.labels)
        for name in first.figures:
            values = [figures[name] for figures in same]
            line[name] = float(np.mean(values))
            line[f"std {name}"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        found.append(line)
    return found


def with_deviation(row: dict[str, Any], name: str, digits: int = 3) -> str:
    """A figure as ".915 ±.004" (or "73.0 ±2.1"); "" where it is missing."""
    if name not in row:
        return ""
    words = [f"{row[name]:.{digits}f}", f"±{row[f'std {name}']:.{digits}f}"]
    return " ".join(word.replace("0.", ".", 1) if word.lstrip("±").startswith("0.") else word for word in words)
