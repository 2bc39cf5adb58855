"""DUL's regression: the class centre as the target of an embedding with a learned variance."""

from __future__ import annotations

import torch
from torch import Tensor


def class_centre_loss(mean: Tensor, log_var: Tensor, centre: Tensor) -> Tensor:
    """Mean over the batch of ``sum_l 1/2 [(w_l - mean_l)^2 / var_l + log var_l]``; normally NEGATIVE, in nats.

    The negative log-likelihood of the centre under N(mean, var), without ``(D/2) log 2 pi``. Geometry: mean and centre
    are both L2-normalised, points of the unit sphere; with one of them raw the variance would measure a difference of
    length. With all else free the variance of a dimension goes to the mean ``(w_l - mean_l)^2``.

    Args:
        mean: (B, D), L2-normalised; frozen, or moving. log_var: (B, D), or (B, 1) for one variance shared by all D
            dimensions (its log then counts D times). centre: (B, D), L2-normalised: w of the row's person.

    Raises:
        ValueError: shapes that do not fit, an empty batch.

    Source: Chang et al., CVPR 2020 (DUL), its regression.
    """
    if mean.ndim != 2 or centre.shape != mean.shape or log_var.shape not in (mean.shape, (len(mean), 1)):
        shapes = ", ".join(str(tuple(part.shape)) for part in (mean, centre, log_var))
        raise ValueError(f"mean, centre and log_var must be (B, D), (B, D) and (B, D or 1). Got {shapes} instead.")
    if len(mean) == 0:
        raise ValueError("the loss needs at least one row. Got none instead.")
    terms = (centre - mean).square() * torch.exp(-log_var) + log_var
    return 0.5 * terms.sum(1).mean()
