"""Classification with a learned variance of the logits, integrated by sampling the logits."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.losses.reduction import reduced

BaseLoss = Callable[[Tensor, Tensor], Tensor]


def heteroscedastic_classification_loss(
    logits: Tensor,
    log_var: Tensor,
    target: Tensor,
    samples: int = 10,
    generator: torch.Generator | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-log( (1/T) sum_t softmax(x_t)_c )`` with ``x_t = logits + sigma eps_t``, ``eps_t ~ N(0, I)``, in nats.

    Only the logits are sampled: the network runs once. The mean is taken of the T probabilities, by log-sum-exp.

    Args:
        logits: (B, C). log_var: log of the logits' variance, (B, C), or (B, 1) for one shared by all classes (the noise
            is independent from class to class all the same). target: (B,) integers in 0..C-1.
        samples: T >= 1. generator: source of the noise, torch's global one by default.
        reduction: "mean" or "sum" over the batch, or "none": (B,).

    Raises:
        ValueError: shapes that do not fit, samples below 1, unknown reduction.

    Source: Kendall & Gal, NIPS 2017, eq. 12.
    """
    _check_target(logits, target)
    sampled = F.log_softmax(sample_logits(logits, log_var, samples, generator), dim=-1)
    chosen = sampled.gather(-1, target.expand(samples, -1)[..., None])[..., 0]
    return reduced(math.log(samples) - torch.logsumexp(chosen, dim=0), reduction)


def mean_of_losses_classification_loss(
    logits: Tensor,
    log_var: Tensor,
    target: Tensor,
    loss: BaseLoss | None = None,
    samples: int = 10,
    generator: torch.Generator | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``(1/T) sum_t loss(x_t, target)``: the mean of T losses, NOT the loss of the mean probability.

    With cross-entropy it is an upper bound of :func:`heteroscedastic_classification_loss` (Jensen), the same at T = 1;
    noise can only raise it in expectation, so that it drives the variance to zero where the other need not.
    Probabilistic detectors use it with a sigmoid focal loss.

    Args:
        logits: (B, C). log_var: (B, C) or (B, 1). target: (B, ...), whatever ``loss`` reads; integers (B,) by default.
        loss: (logits (T B, C), target (T B, ...)) -> (T B, ...), not reduced; softmax cross-entropy by default, else
            for instance ``partial(softmax_focal_loss, reduction="none")``.
        samples: T >= 1. generator: source of the noise, torch's global one by default.
        reduction: "mean" or "sum" over all that ``loss`` returns for the batch, or "none": (B, ...).

    Raises:
        ValueError: shapes that do not fit, a reduced ``loss``, samples below 1, unknown reduction.
    """
    if loss is None:
        _check_target(logits, target)
    sampled = sample_logits(logits, log_var, samples, generator).flatten(0, 1)
    repeated = target.expand(samples, *target.shape).flatten(0, 1)
    values = F.cross_entropy(sampled, repeated, reduction="none") if loss is None else loss(sampled, repeated)
    if values.shape[:1] != sampled.shape[:1]:
        raise ValueError(f"loss must give one row for each of {len(sampled)}. Got {tuple(values.shape)} instead.")
    return reduced(values.reshape(samples, len(logits), *values.shape[1:]).mean(0), reduction)


def sample_logits(logits: Tensor, log_var: Tensor, samples: int, generator: torch.Generator | None = None) -> Tensor:
    """T draws of ``N(logits, exp(log_var))``, differentiable in both: (T, B, C), the sample axis first.

    Raises:
        ValueError: logits that are not (B, C), log_var that is neither (B, C) nor (B, 1), samples below 1.
    """
    if logits.ndim != 2:
        raise ValueError(f"logits must be (B, C). Got shape {tuple(logits.shape)} instead.")
    rows, classes = logits.shape
    if log_var.shape not in ((rows, classes), (rows, 1)):
        raise ValueError(f"log_var must be ({rows}, {classes}) or ({rows}, 1). Got {tuple(log_var.shape)} instead.")
    if samples < 1:
        raise ValueError(f"samples must be at least 1. Got {samples} instead.")
    noise = torch.randn(samples, rows, classes, dtype=logits.dtype, device=logits.device, generator=generator)
    return logits + torch.exp(0.5 * log_var) * noise


def _check_target(logits: Tensor, target: Tensor) -> None:
    if target.shape != logits.shape[:1]:
        raise ValueError(f"target must be ({len(logits)},). Got shape {tuple(target.shape)} instead.")
