"""Total = aleatoric + epistemic, from M members that each predict for B inputs. Members stand first: (M, B, D).

Members are passes with dropout, or models of an ensemble. Aleatoric is what they all say of the noise; epistemic is
what they disagree about. Source: Kendall & Gal, NIPS 2017; for classification also Depeweg et al., ICML 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Prediction and uncertainty of B inputs; unit and shape as the function says that made it; higher = less certain.

    Attributes:
        mean: (B, D), the prediction. aleatoric, epistemic: at least 0, one shape. total: their sum.
    """

    mean: Tensor
    aleatoric: Tensor
    epistemic: Tensor
    total: Tensor

    def __len__(self) -> int:
        return len(self.mean)


def mean_and_variance(members: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population variance (divided by M, not M - 1) over the first axis.

    Of equal members the mean is the member and the variance 0, exactly.
    """
    deviation = members - members[:1]
    shift = deviation.mean(0)
    return members[0] + shift, (deviation - shift).square().mean(0)


def decompose_regression(means: Tensor, log_vars: Tensor) -> Decomposition:
    """Law of total variance: ``total = mean_m var_m + Var_m(mean_m)``.

    Args:
        means: (M, B, D), what each member predicts. log_vars: (M, B, D) or (M, B, 1), log of the variance it predicts.

    Returns:
        mean (B, D), the average of the means; aleatoric, epistemic and total variance a dimension, (B, D) each.
        Epistemic is the population variance of the means, 0 for one member.

    Raises:
        ValueError: shapes that do not fit.
    """
    _check_members("means", means)
    _check_log_vars(means, log_vars)
    mean, epistemic = mean_and_variance(means)
    aleatoric = log_vars.exp().mean(0).expand_as(epistemic)
    return Decomposition(mean, aleatoric, epistemic, aleatoric + epistemic)


def decompose_classification(logits: Tensor) -> Decomposition:
    """Entropy of the mean probabilities = mean entropy of the members + mutual information.

    Args:
        logits: (M, B, C) logits or log-probabilities (of which the softmax is the same); -inf is a class ruled out.

    Returns:
        mean (B, C), the average of the probabilities; in nats, (B,) each: total ``H[mean p]`` in [0, log C], aleatoric
        ``mean H[p]``, and epistemic, the mutual information between class and member,
        ``mean_m KL(p_m || mean p)`` (never below 0; 0 for one member, at most log M).

    Raises:
        ValueError: shapes that do not fit.
    """
    _check_members("logits", logits)
    log_p = F.log_softmax(logits, -1)
    log_mean = torch.logsumexp(log_p, 0) - math.log(len(logits))
    p = log_p.exp()
    aleatoric = torch.special.entr(p).sum(-1).mean(0)
    # where p is 0 the term is 0, also when both logarithms are -inf
    terms = torch.where(p > 0, p * (log_p - log_mean), torch.zeros_like(p))
    epistemic = terms.sum(-1).mean(0).clamp_min(0)
    return Decomposition(log_mean.exp(), aleatoric, epistemic, aleatoric + epistemic)


def decompose_embeddings(embeddings: Tensor, log_vars: Tensor | None = None) -> Decomposition:
    """The same for directions: embeddings on the unit sphere.

    Args:
        embeddings: (M, B, D); each member is L2-normalised first.
        log_vars: (M, B, D) or (M, B, 1), log of the variance on the unit sphere; None: the members say nothing of
            noise.

    Returns:
        mean (B, D), the L2-normalised average of the members; variances a dimension, averaged over the D dimensions,
        (B,) each, in the unit of a head's variance: epistemic ``1/D sum_d Var_m(e_md)`` about the average before its
        normalisation (population variance, in [0, 1/D], equal to ``(1 - |average|^2) / D``), aleatoric the average of
        ``exp(log_vars)`` (0 without).

    Raises:
        ValueError: shapes that do not fit.
    """
    _check_members("embeddings", embeddings)
    average, variance = mean_and_variance(F.normalize(embeddings, dim=-1))
    epistemic = variance.mean(-1)
    aleatoric = torch.zeros_like(epistemic)
    if log_vars is not None:
        _check_log_vars(embeddings, log_vars)
        aleatoric = log_vars.exp().mean(0).mean(-1)
    return Decomposition(F.normalize(average, dim=-1), aleatoric, epistemic, aleatoric + epistemic)


def _check_members(name: str, values: Tensor) -> None:
    if values.ndim != 3 or not len(values) or not values.shape[2] or not values.is_floating_point():
        raise ValueError(
            f"{name} must be real (M, B, D), M and D at least 1. Got {values.dtype} {tuple(values.shape)} instead."
        )


def _check_log_vars(means: Tensor, log_vars: Tensor) -> None:
    if tuple(log_vars.shape) not in (tuple(means.shape), (*means.shape[:2], 1)):
        expected = " or ".join(map(str, dict.fromkeys([tuple(means.shape), (*means.shape[:2], 1)])))
        raise ValueError(f"log_vars must be {expected}. Got {tuple(log_vars.shape)} instead.")
