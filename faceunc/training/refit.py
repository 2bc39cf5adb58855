"""log_var put into the units of a variance: shift and factor fitted on held-out people by their likelihood.

For methods whose loss leaves its scale open (a learned softmax scale, a KL-regularised noise, ProbFace's missing D):
the order of photographs is theirs, only where and how far apart the variances lie is set here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from scipy.optimize import minimize

from faceunc.heads.build import SingleHead
from faceunc.losses.mutual_likelihood import mutual_likelihood_loss
from faceunc.training.batches import Batch

_WIDEST = math.log(3.0)


@torch.no_grad()
def refit(head: SingleHead, batches: Sequence[Batch]) -> tuple[float, float]:
    """Rescale ``head`` to ``shift + factor * log_var``, the least mutual likelihood loss; returns (shift, factor).

    The factor stays within 1/3 and 3: a head which orders photographs the wrong way round is neither turned about nor
    flattened.
    """
    sides = []
    for batch in batches:
        mean, _ = head.embed(batch.pooled, batch.mean)
        sides.append((mean, torch.stack(head.member_outputs(batch.pooled)).mean(0), batch.pairs))

    def loss(values: Sequence[float]) -> float:
        shift, factor = float(values[0]), _factor(values[1])
        parts = [
            mutual_likelihood_loss(mean, centre + shift + factor * (v - centre), pairs) for mean, v, pairs in sides
        ]
        return float(torch.stack(parts).mean())

    centre = float(torch.cat([log_var for _, log_var, _ in sides]).mean())
    start = _level(sides) - centre
    simplex = [[start, 0.0], [start + 0.5, 0.0], [start, 0.5]]  # the default one hardly leaves a coordinate of 0
    options = {"xatol": 1e-3, "fatol": 1e-3, "maxiter": 200, "initial_simplex": simplex}
    found = minimize(loss, simplex[0], method="Nelder-Mead", options=options)
    shift, factor = float(found.x[0]), _factor(found.x[1])
    shift += centre * (1.0 - factor)
    head.rescale(shift, factor)
    return shift, factor


def _factor(log_factor: float) -> float:
    return math.exp(min(max(float(log_factor), -_WIDEST), _WIDEST))


def _level(sides: Sequence[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]) -> float:
    """log_var of one shared variance with the least loss."""
    squares = torch.cat([(mean[p[:, 0]] - mean[p[:, 1]]).square().mean(1) for mean, _, p in sides])
    return float((squares.mean() / 2.0).clamp_min(1e-12).log())
