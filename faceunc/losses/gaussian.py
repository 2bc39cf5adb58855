"""Regression with a learned variance: Gaussian likelihood, a robust variant, and the beta-weighted one.

All take ``log_var`` = s = log sigma^2. Of the shape of the prediction it is heteroscedastic (a variance for every
element); a scalar tensor or parameter is homoscedastic (one for all inputs); anything that broadcasts to the
prediction lies between. In float32 they are finite for log_var in [-80, 80].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses.reduction import reduced


def gaussian_loss(prediction: Tensor, target: Tensor, log_var: Tensor, reduction: str = "mean") -> Tensor:
    """``1/2 exp(-s) (y - f)^2 + 1/2 s``: negative log-likelihood in nats without ``1/2 log 2 pi``; may be NEGATIVE.

    Args:
        prediction: f, any shape. target: y, of the same shape. log_var: s, broadcastable to that shape.
        reduction: "mean" or "sum" over all elements, or "none" (the shape of the prediction).

    Raises:
        ValueError: shapes that do not fit (nothing but log_var is broadcast), unknown reduction.

    Source: Kendall & Gal, NIPS 2017, eq. 8 (its scalar-output form, element by element).
    """
    _check_shapes(prediction, target, log_var)
    return reduced(_weighted(0.5 * (target - prediction).square(), log_var), reduction)


def smooth_l1_gaussian_loss(
    prediction: Tensor, target: Tensor, log_var: Tensor, delta: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """``exp(-s) h(y - f) + 1/2 s``, h being Huber's function: ``1/2 d^2`` up to |d| = delta, straight beyond.

    ``h(d) = delta (|d| - delta/2)`` there; at delta = 1 it is the smooth L1 of detectors (in general delta times it).
    Within delta this is :func:`gaussian_loss`. It is no exact likelihood: the normaliser of the density
    ``exp(-exp(-s) h)`` is not exp(s/2) where the straight part matters.

    Args:
        prediction, target, log_var, reduction: as in :func:`gaussian_loss`.
        delta: positive, in the units of the target.

    Raises:
        ValueError: shapes that do not fit, delta that is not positive, unknown reduction.
    """
    _check_shapes(prediction, target, log_var)
    if not delta > 0.0:
        raise ValueError(f"delta must be positive. Got {delta} instead.")
    return reduced(_weighted(F.huber_loss(prediction, target, reduction="none", delta=delta), log_var), reduction)


def beta_nll_loss(
    prediction: Tensor, target: Tensor, log_var: Tensor, beta: float = 0.5, reduction: str = "mean"
) -> Tensor:
    """:func:`gaussian_loss` with every element weighted by ``exp(beta s)``, the weight held constant in the gradient.

    0 is the plain likelihood, in which poorly fitted inputs lose their gradient to a large variance; with 1 the mean
    learns as from squared errors. The value itself is no likelihood unless beta is 0.

    Args:
        prediction, target, log_var, reduction: as in :func:`gaussian_loss`.
        beta: in [0, 1]; the paper recommends 0.5.

    Raises:
        ValueError: shapes that do not fit, beta outside [0, 1], unknown reduction.

    Source: Seitzer et al., ICLR 2022 (beta-NLL).
    """
    _check_shapes(prediction, target, log_var)
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta must be in [0, 1]. Got {beta} instead.")
    loss = _weighted(0.5 * (target - prediction).square(), log_var)
    return reduced(loss * torch.exp(beta * log_var.detach()), reduction)


def _weighted(residual: Tensor, log_var: Tensor) -> Tensor:
    return torch.exp(-log_var) * residual + 0.5 * log_var


def _check_shapes(prediction: Tensor, target: Tensor, log_var: Tensor) -> None:
    shape = prediction.shape
    if target.shape != shape:
        raise ValueError(f"target must have the prediction's shape {tuple(shape)}. Got {tuple(target.shape)} instead.")
    missing = len(shape) - log_var.ndim
    if missing < 0 or any(size not in (1, full) for size, full in zip(log_var.shape, shape[missing:], strict=True)):
        raise ValueError(f"log_var must broadcast to {tuple(shape)}. Got {tuple(log_var.shape)} instead.")
