"""Kullback-Leibler divergence of an uncertain embedding from the standard normal distribution."""

from __future__ import annotations

import torch
from torch import Tensor

from faceunc.losses.reduction import check_reduction


def kl_to_standard_normal(mean: Tensor, log_var: Tensor, reduction: str = "sum") -> Tensor:
    """``KL(N(mean, var) || N(0, I)) = 1/2 sum_l (var_l + mean_l^2 - log var_l - 1)`` of every row, in nats: (B,), >= 0.

    Args:
        mean: (B, D). log_var: (B, D), or (B, 1) for one variance that all D dimensions share: it counts D times.
        reduction: over the D dimensions: "sum", which is the divergence, or "mean", D times less. A regulariser's
            weight means nothing without it: with the mean, 512 times too weak, a re-implementation of DUL lets its
            variances collapse.

    Raises:
        ValueError: shapes that do not fit, unknown reduction.

    Source: Chang et al., CVPR 2020 (DUL), the regulariser of its classification.
    """
    check_reduction(reduction, ("sum", "mean"))
    if mean.ndim != 2 or log_var.shape not in (mean.shape, (len(mean), 1)):
        shapes = f"{tuple(mean.shape)} and {tuple(log_var.shape)}"
        raise ValueError(f"mean and log_var must be (B, D) and (B, D) or (B, 1). Got {shapes} instead.")
    terms = 0.5 * (mean.square() + torch.expm1(log_var) - log_var)
    return terms.sum(1) if reduction == "sum" else terms.mean(1)
