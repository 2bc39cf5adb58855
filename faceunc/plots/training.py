"""Curves of one training: the losses, and whatever parts the method logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from faceunc.storage import atomic_path


def save_history(history: Sequence[dict[str, float]], path: Path, title: str) -> None:
    """One panel a logged figure against the step; training and validation loss share the first. Raises OutputError."""
    from matplotlib.figure import Figure

    names = [name for name in history[0] if name not in ("step", "train_loss", "validation_loss")]
    figure = Figure(figsize=(4.2 * (1 + len(names)), 3.4), layout="constrained")
    panels: list[Any] = figure.subplots(1, 1 + len(names), squeeze=False)[0].tolist()
    steps = [row["step"] for row in history]
    for name, label in (("train_loss", "training"), ("validation_loss", "held-out people")):
        panels[0].plot(steps, [row[name] for row in history], marker="o", markersize=3, label=label)
    panels[0].set_title("loss")
    panels[0].legend(frameon=False)
    for name, panel in zip(names, panels[1:], strict=True):
        panel.plot(steps, [row[name] for row in history], marker="o", markersize=3, color="tab:green")
        panel.set_title(name)
    for panel in panels:
        panel.set_xlabel("step")
        panel.grid(alpha=0.3)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
