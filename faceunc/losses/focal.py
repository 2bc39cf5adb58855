"""Focal losses: cross-entropy that counts what is already classified well for less."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses.reduction import reduced


def softmax_focal_loss(logits: Tensor, target: Tensor, gamma: float = 2.0, reduction: str = "mean") -> Tensor:
    """``-(1 - p)^gamma log p`` with p the softmax probability of the target class; gamma 0 is cross-entropy.

    Args:
        logits: (B, C). target: (B,) integers in 0..C-1. gamma: >= 0.
        reduction: "mean" or "sum" over the batch, or "none": (B,).

    Raises:
        ValueError: shapes that do not fit, negative gamma, unknown reduction.

    Source: Lin et al., ICCV 2017, eq. 4, for one class of several.
    """
    if logits.ndim != 2 or target.shape != logits.shape[:1]:
        shapes = f"{tuple(logits.shape)} and {tuple(target.shape)}"
        raise ValueError(f"logits and target must be (B, C) and (B,). Got {shapes} instead.")
    log_p = F.log_softmax(logits, dim=1).gather(1, target[:, None])[:, 0]
    return reduced(-log_p * _modulation(-torch.expm1(log_p), gamma), reduction)


def sigmoid_focal_loss(
    logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: float | None = 0.25, reduction: str = "mean"
) -> Tensor:
    """``-alpha_t (1 - p_t)^gamma log p_t`` for every label by itself, ``p_t`` the probability of what the label says.

    Args:
        logits: any shape. target: of the same shape, 0 or 1 as floating point (several labels may be 1).
        gamma: >= 0. alpha: weight of the ones in [0, 1], the zeros get 1 - alpha; None: both 1.
        reduction: "mean" or "sum" over all elements, or "none". Detectors take the sum and divide by the number of
            positives.

    Raises:
        ValueError: shapes that do not fit, negative gamma, alpha outside [0, 1], unknown reduction.

    Source: Lin et al., ICCV 2017, eq. 5; the same numbers as ``torchvision.ops.sigmoid_focal_loss``.
    """
    if logits.shape != target.shape:
        raise ValueError(f"target must be {tuple(logits.shape)}. Got shape {tuple(target.shape)} instead.")
    if alpha is not None and not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1] or None. Got {alpha} instead.")
    wrong = torch.sigmoid(logits) * (1.0 - target) + torch.sigmoid(-logits) * target
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * _modulation(wrong, gamma)
    if alpha is not None:
        loss = loss * (alpha * target + (1.0 - alpha) * (1.0 - target))
    return reduced(loss, reduction)


def _modulation(wrong: Tensor, gamma: float) -> Tensor:
    """``wrong^gamma``, with a finite gradient at 0 for gamma < 1 as well."""
    if not gamma >= 0.0:
        raise ValueError(f"gamma must be at least 0. Got {gamma} instead.")
    return wrong.clamp_min(torch.finfo(wrong.dtype).tiny).pow(gamma)
