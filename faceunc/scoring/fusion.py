"""Fusion of the images of one template into one uncertain embedding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from faceunc.scoring.arrays import numpy_in_numpy_out

POSTERIORS = ("min", "harmonic", "bayes", "correlated")


@numpy_in_numpy_out
def fuse(mean: Any, log_var: Any, posterior: str = "bayes", rho: float = 0.0) -> Any:
    """Fuse n images of one person by inverse variance.

    Weights ``w_i = var_i^-1 / sum_k var_k^-1`` per dimension; the fused mean is ``sum_i w_i mean_i``, L2-normalised.

    Args:
        mean: (n, D), L2-normalised, n >= 1.
        log_var: (n, D) or (n, 1).
        posterior: the fused variance per dimension:
            "min": the least of the images' variances (PFE's implementation);
            "harmonic": their harmonic mean, as if n images were worth one;
            "bayes": ``1 / sum_i var_i^-1``, the product of Gaussians with independent errors;
            "correlated": the variance of the weighted mean when the errors of any two images correlate by ``rho``:
            ``(1 - rho) sum_i w_i^2 var_i + rho (sum_i w_i sd_i)^2``; rho 0 is "bayes".
        rho: in [0, 1], for "correlated" only.

    Returns:
        (mean (D,), log_var (D,) or (1,)). One image comes back unchanged under every posterior.

    Raises:
        ValueError: unknown posterior, rho outside [0, 1], or no image.
    """
    if posterior not in POSTERIORS:
        raise ValueError(f"posterior must be one of {', '.join(POSTERIORS)}. Got {posterior!r} instead.")
    if not 0.0 <= rho <= 1.0:
        raise ValueError(f"rho must be in [0, 1]. Got {rho} instead.")
    if len(mean) == 0:
        raise ValueError("a template needs at least one image. Got none instead.")
    weights = torch.softmax(-log_var, dim=0)
    fused = torch.nn.functional.normalize((weights * mean).sum(0), dim=0)
    return fused, _posterior(log_var, posterior, rho)


def _posterior(log_var: Tensor, posterior: str, rho: float) -> Tensor:
    if posterior == "min":
        return log_var.amin(0)
    bayes = -torch.logsumexp(-log_var, dim=0)
    if posterior == "bayes":
        return bayes
    if posterior == "harmonic":
        return bayes + torch.log(torch.tensor(float(len(log_var)), dtype=log_var.dtype))
    # sum_i w_i sd_i = sum_i sd_i^-1 / sum_i var_i^-1, in logarithms
    common = 2.0 * (torch.logsumexp(-0.5 * log_var, dim=0) + bayes)
    return torch.log((1.0 - rho) * torch.exp(bayes - common) + rho) + common


@numpy_in_numpy_out
def fuse_mean(mean: Any) -> Any:
    """Plain pooling without any uncertainty: the mean of (n, D) embeddings, L2-normalised -> (D,)."""
    if len(mean) == 0:
        raise ValueError("a template needs at least one image. Got none instead.")
    return torch.nn.functional.normalize(mean.mean(0), dim=0)


@numpy_in_numpy_out
def effective_number(log_var: Any) -> Any:
    """Effective number of images of a template, in [1, n]: ``(sum_i w_i)^2 / sum_i w_i^2``, with w_i the mean over
    dimensions of the inverse variance. Equal variances give n, one far better image gives 1. (n, D or 1) -> ()."""
    weights = torch.exp(log_var.amin() - log_var).mean(-1)  # a common factor cancels, and cannot overflow
    return weights.sum().square() / weights.square().sum()
