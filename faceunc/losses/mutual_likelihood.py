"""PFE's loss: the negative mutual likelihood of genuine pairs, on gathered pairs only."""

from __future__ import annotations

import torch
from torch import Tensor

from faceunc.scoring.mls import mutual_likelihood_score


def genuine_pairs(identity: Tensor, image: Tensor) -> Tensor:
    """All unordered pairs of rows that show one person on two different photographs.

    Args:
        identity: (B,) integers, who is on the row.
        image: (B,) integers, which photograph the row was made of. Two views of one photograph are never a pair:
            their distance says nothing of the person and would pull the variance to zero.

    Returns:
        (P, 2) row indices, first < second.
    """
    same = (identity[:, None] == identity[None, :]) & (image[:, None] != image[None, :])
    return torch.triu(same, diagonal=1).nonzero()


def mutual_likelihood_loss(mean: Tensor, log_var: Tensor, pairs: Tensor) -> Tensor:
    """Mean over genuine pairs of ``sum_l [d_l^2 / S_l + log S_l]``; normally NEGATIVE, for S is far below 1.

    Args:
        mean: (B, D), L2-normalised, usually frozen.
        log_var: (B, D) or (B, 1).
        pairs: (P, 2) from :func:`genuine_pairs`, P >= 1.

    Source: Shi & Jain, ICCV 2019, eq. 6 (twice the paper's, without its constant). Only the P pairs are computed, where
    the usual B x B broadcast computes 170 times as many at 64 identities x 4 images.

    Raises:
        ValueError: when there is no pair.
    """
    if len(pairs) == 0:
        raise ValueError("the loss needs at least one genuine pair. Got none instead.")
    first, second = pairs[:, 0], pairs[:, 1]
    scores = mutual_likelihood_score(mean[first], log_var[first], mean[second], log_var[second], form="sum")
    return -scores.mean()
