"""The mutual likelihood score: how likely two uncertain embeddings are to be one and the same point."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import torch

from faceunc.scoring.arrays import numpy_in_numpy_out

Array = TypeVar("Array")
FORMS = ("paper", "sum")


@numpy_in_numpy_out
def mutual_likelihood_score(mean1: Array, log_var1: Array, mean2: Array, log_var2: Array, form: str = "paper") -> Array:
    """Log-likelihood that both embeddings show one latent point. Higher = more likely the same person.

    Args:
        mean1, mean2: (..., D), L2-normalised.
        log_var1, log_var2: natural log of the variance, (..., D), or (..., 1) for one variance shared by all D.
        form: "paper" is ``-1/2 sum_l [d_l^2 / S_l + log S_l] - D/2 log(2 pi)`` in nats, with ``S = var1 + var2`` and
            ``d = mean1 - mean2``; "sum" is ``-sum_l [d_l^2 / S_l + log S_l]``, as implementations print it (twice the
            paper's plus a constant; the ranking is the same).

    Returns:
        (...,): values of hundreds are normal, and so are positive ones (it is a density).

    Raises:
        ValueError: for an unknown form.

    Source: Shi & Jain, ICCV 2019, eq. 3. Symmetric in its two sides.
    """
    if form not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}. Got {form!r} instead.")
    log_s = torch.logaddexp(_t(log_var1), _t(log_var2))
    total = ((_t(mean1) - _t(mean2)).square() * torch.exp(-log_s) + log_s).sum(-1)
    if form == "sum":
        return -total  # type: ignore[return-value]
    return -0.5 * total - 0.5 * _t(mean1).shape[-1] * math.log(2.0 * math.pi)  # type: ignore[return-value]


def _t(value: Any) -> torch.Tensor:
    return value  # type: ignore[no-any-return]
