"""Does sigma carry anything? Checked after every training, on faces of people that the head never saw."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from faceunc.embeddings import harmonic_log_var
from faceunc.heads.build import Head
from faceunc.training.data import KIND_NAMES, TrainingData

MIN_SPREAD = 0.05
MIN_CORRELATION = 0.2


@dataclass(frozen=True)
class CollapseReport:
    """What sigma knows of severity on held-out faces.

    Attributes:
        spread: standard deviation of log_var (harmonic summary, nats) over all views of all held-out photographs.
        sigma: Spearman's rank correlation of sigma with the severity of degradation, over all kinds, degraded views
            only.
        norm, sharpness, face_size: the same for the negated trivial measures (so that higher is better for all).
        by_kind: the same for sigma, kind by kind. images: number of held-out photographs.
    """

    spread: float
    sigma: float
    norm: float
    sharpness: float
    face_size: float
    by_kind: dict[str, float]
    images: int

    @property
    def warnings(self) -> list[str]:
        """Reasons not to trust this sigma; empty when there are none."""
        found = []
        if not self.spread >= MIN_SPREAD:
            found.append(f"log_var hardly differs between images (spread {self.spread:.3f} < {MIN_SPREAD})")
        if not self.sigma >= MIN_CORRELATION:
            found.append(
                f"sigma does not follow the degradation (rank correlation {self.sigma:.2f} < {MIN_CORRELATION})"
            )
        found.extend(
            f"{name} alone follows the degradation better ({getattr(self, name):.2f} > {self.sigma:.2f})"
            for name in ("norm", "sharpness", "face_size")
            if getattr(self, name) > self.sigma and getattr(self, name) >= MIN_CORRELATION
        )
        return found

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the warnings."""
        return {**asdict(self), "warnings": self.warnings}


def collapse_report(log_var: NDArray[np.float32], data: TrainingData, rows: NDArray[np.int64]) -> CollapseReport:
    """Check sigma on the photographs ``rows`` of ``data``.

    Args:
        log_var: (V, N, D or 1), for all views and photographs of ``data``.
        data: its degraded views are used; clean ones count for the spread only.
        rows: held-out photographs.
    """
    per_image = np.stack([harmonic_log_var(view[rows]) for view in log_var])
    degraded = data.kind[:, rows] > 0
    severity, kind = data.severity[:, rows][degraded], data.kind[:, rows][degraded]
    sigma = per_image[degraded]
    size = np.broadcast_to(data.face_size[rows], degraded.shape)[degraded]
    return CollapseReport(
        spread=float(per_image.std()),
        sigma=rank_correlation(sigma, severity),
        norm=rank_correlation(-data.norm[:, rows][degraded], severity),
        sharpness=rank_correlation(-data.sharpness[:, rows][degraded], severity),
        face_size=rank_correlation(-size, severity),
        by_kind={
            KIND_NAMES[code]: rank_correlation(sigma[kind == code], severity[kind == code]) for code in np.unique(kind)
        },
        images=len(rows),
    )


def rank_correlation(values: ArrayLike, severity: ArrayLike) -> float:
    """Spearman's rank correlation; 0 where one side is constant or there are fewer than three values."""
    a, b = np.asarray(values, np.float64), np.asarray(severity, np.float64)
    good = np.isfinite(a) & np.isfinite(b)
    if good.sum() < 3 or np.ptp(a[good]) == 0 or np.ptp(b[good]) == 0:
        return 0.0
    return float(spearmanr(a[good], b[good]).statistic)


@torch.no_grad()
def predict(head: Head, data: TrainingData) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(mean (V, N, D), log_var (V, N, D or 1)) of every view and photograph."""
    outputs = [
        [head.embed(x.float(), mean) for x, mean in zip(pooled.split(4096), means.split(4096), strict=True)]
        for pooled, means in zip(data.pooled, data.mean, strict=True)
    ]
    means, log_vars = (torch.stack([torch.cat([o[i] for o in view]) for view in outputs]).numpy() for i in (0, 1))
    return means, log_vars


def predict_log_var(head: Head, data: TrainingData) -> NDArray[np.float32]:
    """log_var of every view and photograph: (V, N, D or 1)."""
    return predict(head, data)[1]
