"""An ensemble of heads: what its members say, in one uncertain embedding; and who each of them is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from faceunc.epistemic.decomposition import decompose_regression, mean_and_variance

VARIANCES = ("total", "aleatoric")


@dataclass(frozen=True, eq=False)
class EnsembleOutput:
    """What an ensemble says of B images.

    Attributes:
        mean: (B, D), L2-normalised average of the members' means.
        log_var: (B, D) or (B, 1) as the members', log of the variance on the unit sphere that was asked for.
        epistemic: (B,), variance of the members' means, averaged over dimensions; 0 when they share a frozen mean.
        log_var_spread: (B,), population variance over members of log_var, averaged over its columns: how far they
            disagree about sigma. All three: higher = less certain.
    """

    mean: Tensor
    log_var: Tensor
    epistemic: Tensor
    log_var_spread: Tensor

    def __len__(self) -> int:
        return len(self.mean)


def combine_members(means: Tensor, log_vars: Tensor, variance: str = "total") -> EnsembleOutput:
    """Combine M members.

    Args:
        means: (M, B, D), each L2-normalised here; members with one frozen mean may hand over an expanded (B, D).
        log_vars: (M, B, D) or (M, B, 1).
        variance: which one ``log_var`` is the logarithm of: "aleatoric", the average of the members' variances (the
            arithmetic one; a head that averages log_var has the geometric one), or "total", that plus the variance of
            their means (a dimension, or averaged over dimensions for log_vars (M, B, 1)).

    Raises:
        ValueError: unknown variance, or shapes that do not fit.
    """
    if variance not in VARIANCES:
        raise ValueError(f"variance must be one of {', '.join(VARIANCES)}. Got {variance!r} instead.")
    parts = decompose_regression(F.normalize(means, dim=-1), log_vars)
    epistemic = parts.epistemic.mean(-1)
    log_var = torch.logsumexp(log_vars, 0) - math.log(len(log_vars))
    if variance == "total":
        added = parts.epistemic if log_vars.shape[2] > 1 else epistemic[:, None]
        log_var = torch.logaddexp(log_var, added.log())
    spread = mean_and_variance(log_vars)[1].mean(-1)
    return EnsembleOutput(F.normalize(parts.mean, dim=-1), log_var, epistemic, spread)


def bootstrap_people(people: Iterable[str], seed: int, member: int) -> dict[str, int]:
    """Who the member number ``member`` is trained on: as many draws with replacement as there are people.

    Whole identities are drawn, since photographs of one person are not independent. What comes back says how often each
    person was drawn, in the order of their names, without those never drawn (about 37%): its keys are the set to train
    on, its values weights for a trainer that takes them. It depends on the set of people, the seed and the member
    alone: an ensemble can grow.

    Raises:
        ValueError: no people, or a seed or member below 0.
    """
    names = sorted(set(people))
    if not names:
        raise ValueError("people must be at least one. Got none instead.")
    if seed < 0 or member < 0:
        raise ValueError(f"seed and member must be at least 0. Got {seed} and {member} instead.")
    drawn = np.random.default_rng([seed, member, 5]).integers(0, len(names), len(names))
    numbers, counts = np.unique(drawn, return_counts=True)
    return {names[i]: int(count) for i, count in zip(numbers, counts, strict=True)}
