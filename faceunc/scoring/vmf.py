"""Score and fusion of von Mises-Fisher distributions: a direction and its concentration, on the unit sphere."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from faceunc.scoring.arrays import numpy_in_numpy_out
from faceunc.scoring.bessel import log_reduced_bessel_i

CONCENTRATIONS = ("product", "mean")


def log_vmf_normaliser(log_kappa: Tensor, dim: int) -> Tensor:
    """``kappa + log C_D(kappa)`` in float64: the log-density of vMF at its own mean direction, in nats. Same shape.

    ``log C_D(k) = (D/2 - 1) log k - (D/2) log 2 pi - log I_(D/2-1)(k)``, for D >= 2. The density at a unit vector with
    cosine c to the mean is ``exp(log_vmf_normaliser - k (1 - c))``, per unit of area of the sphere of radius 1.

    Raises:
        ValueError: dim below 2.
    """
    if dim < 2:
        raise ValueError(f"dim must be at least 2. Got {dim} instead.")
    return -log_reduced_bessel_i(0.5 * dim - 1.0, log_kappa.double().exp()) - 0.5 * dim * math.log(2.0 * math.pi)


@numpy_in_numpy_out
def vmf_score(mean1: Any, log_kappa1: Any, mean2: Any, log_kappa2: Any) -> Any:
    """Log-likelihood that two von Mises-Fisher distributions show one direction. Higher = more likely the same person.

    The log of the integral of the product of both densities over the unit sphere, in nats, with nothing dropped:
    ``v (log k1 + log k2 - log kt) - (log I_v(k1) + log I_v(k2) - log I_v(kt)) - (D/2) log 2 pi``, ``v = D/2 - 1``,
    ``kt = |k1 mean1 + k2 mean2|``. Usual accounts leave the constant ``-(D/2) log 2 pi`` out.

    Args:
        mean1, mean2: (..., D), L2-normalised, D >= 2.
        log_kappa1, log_kappa2: natural log of the concentration, (..., 1); higher = more certain. In [-80, 80].

    Returns:
        (...,) of the inputs' type, computed in float64; values of hundreds are normal, and so are positive ones.

    Raises:
        ValueError: log_kappa that is not (..., 1), D below 2.

    Source: Li et al., CVPR 2021 (SCF), mutual likelihood. Symmetric in its two sides. The gradient with respect to kt
    is taken for 0 where kt is 0 (opposite means of the same concentration).
    """
    for log_kappa in (log_kappa1, log_kappa2):
        if log_kappa.shape[-1] != 1:
            raise ValueError(f"log_kappa must be (..., 1). Got shape {tuple(log_kappa.shape)} instead.")
    dim, dtype = mean1.shape[-1], torch.result_type(mean1, log_kappa1)
    apart = 0.5 * (mean1 - mean2).square().sum(-1).double()  # 1 - cosine
    log1, log2 = log_kappa1[..., 0].double(), log_kappa2[..., 0].double()
    k1, k2 = log1.exp(), log2.exp()
    twice = 2.0 * k1 * k2 * apart
    total2 = ((k1 + k2).square() - twice).clamp_min(torch.finfo(torch.float64).tiny)
    log_total = 0.5 * total2.log()
    lost = twice / (k1 + k2 + log_total.exp())  # k1 + k2 - kt
    both = log_vmf_normaliser(log1, dim) + log_vmf_normaliser(log2, dim)
    return (both - log_vmf_normaliser(log_total, dim) - lost).to(dtype)


@numpy_in_numpy_out
def fuse_vmf(mean: Any, log_kappa: Any, concentration: str = "product") -> Any:
    """Fuse n images of one person: the mean weighted by concentration, L2-normalised.

    Args:
        mean: (n, D), L2-normalised, n >= 1. log_kappa: (n, 1), natural log of the concentration.
        concentration: of the result:
            "product": ``|sum_i kappa_i mean_i|``, exactly that of the product of the n densities (n images whose errors
            are independent); images that disagree give less than their sum;
            "mean": the mean of the concentrations, as if n images were worth one.

    Returns:
        (mean (D,), log_kappa (1,)). One image comes back unchanged.

    Raises:
        ValueError: unknown concentration, log_kappa that is not (n, 1), or no image.
    """
    if concentration not in CONCENTRATIONS:
        raise ValueError(f"concentration must be one of {', '.join(CONCENTRATIONS)}. Got {concentration!r} instead.")
    if len(mean) == 0:
        raise ValueError("a template needs at least one image. Got none instead.")
    if log_kappa.shape != (len(mean), 1):
        raise ValueError(f"log_kappa must be ({len(mean)}, 1). Got shape {tuple(log_kappa.shape)} instead.")
    total = (torch.softmax(log_kappa, dim=0) * mean).sum(0)  # of length |sum_i kappa_i mean_i| / sum_i kappa_i
    fused = torch.nn.functional.normalize(total, dim=0)
    summed = torch.logsumexp(log_kappa, dim=0)
    if concentration == "mean":
        return fused, summed - math.log(len(mean))
    return fused, summed + total.norm().clamp_min(torch.finfo(total.dtype).tiny).log()
