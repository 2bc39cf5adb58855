"""ProbFace's losses: one variance a photograph, a regulariser, and triplets of uncertain distances.

Its variance is that of the whole embedding, not of one dimension: about D times PFE's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses.reduction import reduced


def probface_pair_loss(mean: Tensor, log_var: Tensor, pairs: Tensor) -> Tensor:
    """Mean over genuine pairs of ``2 (1 - cos) / S + log S``, ``S = var_i + var_j``; may be NEGATIVE.

    No factor D stands before the logarithm: with one S for all it is least at the mean of ``2 (1 - cos)``.

    Args:
        mean: (B, D), L2-normalised, usually frozen. log_var: (B, 1).
        pairs: (P, 2) from :func:`genuine_pairs`, P >= 1.

    Raises:
        ValueError: log_var that is not (B, 1), no pair.

    Source: Chen et al., 2021 (ProbFace); without the released code's 1e-10 under the fraction.
    """
    _check(mean, log_var)
    if len(pairs) == 0:
        raise ValueError("the loss needs at least one genuine pair. Got none instead.")
    first, second = pairs[:, 0], pairs[:, 1]
    log_s = torch.logaddexp(log_var[first, 0], log_var[second, 0])
    square = (mean[first] - mean[second]).square().sum(1)  # 2 (1 - cos), without its cancellation
    return (square * torch.exp(-log_s) + log_s).mean()


def variance_regulariser(log_var: Tensor, reduction: str = "mean") -> Tensor:
    """``|var / mean(var) - 1|`` of every photograph, the mean taken over the batch: draws the variances together.

    It is blind to their common scale. The released code holds mean(var) constant in the gradient, we do not: the
    gradient is that of the formula, and it too leaves the common scale alone.

    Args:
        log_var: (B, 1).
        reduction: "mean" over the batch, "sum" (the paper's: its weight, 0.001, then depends on the batch), or "none".

    Raises:
        ValueError: an empty batch, unknown reduction.

    Source: Chen et al., 2021 (ProbFace).
    """
    if log_var.numel() == 0:
        raise ValueError("the regulariser needs at least one row. Got none instead.")
    log_mean = torch.logsumexp(log_var.flatten(), 0) - math.log(log_var.numel())
    return reduced(torch.expm1(log_var - log_mean).abs(), reduction)


def uncertainty_triplet_loss(mean: Tensor, log_var: Tensor, identity: Tensor, margin: float = 3.0) -> Tensor:
    """Mean over genuine pairs (a, p) of ``max(0, margin + d(a, p) - d(a, n))``, ``d = 2 (1 - cos) / (var + var)``.

    Mining: every ordered pair of different rows of one identity is used once. Its negative n is the nearest among the
    rows of other identities that lie strictly farther from a than p does (semi-hard, inside the margin or not);
    where none does, the farthest of other identities. Pairs whose triplet is satisfied count as 0 in the mean. The
    choice of n has no gradient.

    Args:
        mean: (B, D), L2-normalised, usually frozen. log_var: (B, 1). identity: (B,) integers.
        margin: >= 0, in units of d, which has none (a squared distance in standard deviations).

    Returns:
        (): 0, with a gradient of 0, for a batch without a genuine pair or with a single identity.

    Raises:
        ValueError: shapes that do not fit, negative margin.

    Source: Chen et al., 2021 (ProbFace), with the mining of its released code.
    """
    _check(mean, log_var)
    if identity.shape != (len(mean),):
        raise ValueError(f"identity must be ({len(mean)},). Got shape {tuple(identity.shape)} instead.")
    if not margin >= 0.0:
        raise ValueError(f"margin must be at least 0. Got {margin} instead.")
    same = identity[:, None] == identity[None, :]
    anchor, positive = (same & ~torch.eye(len(mean), dtype=torch.bool, device=mean.device)).nonzero().T
    if len(anchor) == 0 or bool(same.all()):
        return 0.0 * log_var.sum()
    distance = _distances(mean, log_var)
    near = distance[anchor, positive]
    negative = _semi_hard(distance.detach()[anchor], near.detach(), same[anchor])
    return F.relu(margin + near - distance[anchor, negative]).mean()


def _distances(mean: Tensor, log_var: Tensor) -> Tensor:
    """(B, B): ``2 (1 - cos) / S`` of all pairs of rows."""
    log_s = torch.logaddexp(log_var, log_var.T)
    return 2.0 * (1.0 - mean @ mean.T).clamp_min(0.0) * torch.exp(-log_s)


def _semi_hard(distance: Tensor, near: Tensor, same: Tensor) -> Tensor:
    """The negative of each of P pairs: (P,) columns of ``distance`` (P, B), never one where ``same``."""
    beyond = (distance > near[:, None]) & ~same
    nearest = distance.masked_fill(~beyond, math.inf).argmin(1)
    farthest = distance.masked_fill(same, -math.inf).argmax(1)
    return torch.where(beyond.any(1), nearest, farthest)


def _check(mean: Tensor, log_var: Tensor) -> None:
    if mean.ndim != 2 or log_var.shape != (len(mean), 1):
        shapes = f"{tuple(mean.shape)} and {tuple(log_var.shape)}"
        raise ValueError(f"mean and log_var must be (B, D) and (B, 1). Got {shapes} instead.")
