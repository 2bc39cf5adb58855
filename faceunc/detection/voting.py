"""What becomes of overlapping candidates: plain non-maximum suppression, and one in which the variances vote."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou, nms  # type: ignore[import-untyped]

from faceunc.detection.features import COORDINATES

OVERLAP = 0.5


@dataclass(frozen=True)
class Candidates:
    """N candidates of one image, which overlap where they mean one face.

    Attributes:
        places: (N, 14), box and points in pixels. log_var: (N, 14), of each of them, in pixels squared.
        score: (N,), higher = more likely a face.
    """

    places: Tensor
    log_var: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.score)


def plain_nms(candidates: Candidates, overlap: float = OVERLAP) -> Tensor:
    """Positions of the candidates that are kept, by falling score, int64.

    A candidate goes when its IoU with a kept one is above ``overlap``. Source: torchvision.ops.nms.
    """
    _check(candidates)
    kept: Tensor = nms(candidates.places[:, :4].double(), candidates.score.double(), overlap)
    return kept


def variance_voting(candidates: Candidates, overlap: float = OVERLAP, temperature: float = 0.02) -> Candidates:
    """The candidates that :func:`plain_nms` keeps, by falling score, each at a place that its neighbours vote on.

    Coordinate by coordinate ``x = sum_i p_i x_i / var_i / sum_i p_i / var_i`` with ``p_i = exp(-(1 - IoU_i)^2 / t)``,
    over all candidates (the kept one itself has p = 1) whose box overlaps the kept one's. Scores stay. log_var is the
    kept candidate's own: candidates look at the same pixels, so their errors are not independent, and the inverse of
    the summed weights would promise too much.

    Args:
        temperature: t, positive; the smaller, the less do boxes that fit badly count. The paper tries .005 to .05.

    Raises:
        ValueError: shapes that do not fit, numbers that are not finite, t that is not positive.

    Source: He et al., CVPR 2019 ("Bounding box regression with uncertainty for accurate object detection"), eq. 11 and
    algorithm 1; there for the box alone, here for the landmarks too, each with its own variance.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature must be positive. Got {temperature} instead.")
    kept = plain_nms(candidates, overlap)
    places, log_var = candidates.places.double(), candidates.log_var.double()
    iou = box_iou(places[kept, :4], places[:, :4])
    near = torch.where(iou > 0.0, -((1.0 - iou) ** 2) / temperature, -torch.inf)
    near[torch.arange(len(kept)), kept] = 0.0  # a box without an area overlaps nothing, not even itself
    weight = torch.softmax(near[:, :, None] - log_var[None], dim=1)
    voted = (weight * places[None]).sum(dim=1)
    return Candidates(voted.to(candidates.places.dtype), candidates.log_var[kept], candidates.score[kept])


def _check(candidates: Candidates) -> None:
    shapes = [tuple(candidates.places.shape), tuple(candidates.log_var.shape), tuple(candidates.score.shape)]
    count = len(candidates)
    if shapes != [(count, COORDINATES), (count, COORDINATES), (count,)]:
        raise ValueError(f"places, log_var and score must be (N, 14), (N, 14) and (N,). Got {shapes} instead.")
    for name in ("places", "log_var", "score"):
        if not torch.isfinite(getattr(candidates, name)).all():
            raise ValueError(f"{name} must be finite. Got NaN or infinite values instead.")
