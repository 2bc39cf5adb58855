"""The members of a head in one pass while they train: the same numbers and draws as one by one, up to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceunc.heads.build import SingleHead
from faceunc.heads.moving import MovingHead
from faceunc.heads.pfe import PFEHead

_STACKED = (PFEHead, MovingHead)  # their bodies are all that stands between the pooled features and log_var


def member_outputs(head: SingleHead, pooled: Tensor) -> Tensor:
    """What each member says of a training batch, (B, P) -> log_var (M, B, D or 1); see ``head.member_outputs``.

    All members normalise the same batch, so that it is normalised once; the scale g and shift b of each one's batch
    normalisation go into its first layer, ``W (g x + b) + c = (W g) x + (W b + c)``: one matrix product serves all
    members, and none is needed for the gradient of the input. Dropout draws member by member, in the order of the loop.
    """
    if type(head) not in _STACKED or head.config.architecture != "pooled" or not head.training:
        return torch.stack(head.member_outputs(pooled))
    layers = [list(cast(nn.Sequential, body)) for body in cast(nn.ModuleList, head.bodies)]
    norms, firsts, _, dropouts, lasts = zip(*layers, strict=True)
    weight = _stack(firsts, "weight")  # (M, H, P)
    bias = torch.baddbmm(_stack(firsts, "bias")[..., None], weight, _stack(norms, "bias")[..., None])
    scaled = (weight * _stack(norms, "weight")[:, None]).flatten(0, 1)
    hidden = F.relu(torch.addmm(bias.flatten(), _normalised(norms, pooled), scaled.T))
    kept = torch.stack([drop(part) for drop, part in zip(dropouts, hidden.chunk(len(layers), 1), strict=True)])
    return torch.baddbmm(_stack(lasts, "bias")[:, None], kept, _stack(lasts, "weight").mT)


def _normalised(norms: Sequence[nn.Module], pooled: Tensor) -> Tensor:
    """The batch with mean 0 and variance 1 per feature; the running statistics of every member move on."""
    first, *others = (dict(norm.named_buffers()) for norm in norms)
    like = cast(nn.BatchNorm1d, norms[0])
    first["num_batches_tracked"].add_(1)
    running = first["running_mean"], first["running_var"]
    # without a momentum, the statistics are the plain average over all batches so far
    momentum = 1.0 / int(first["num_batches_tracked"]) if like.momentum is None else like.momentum
    normed = F.batch_norm(pooled, *running, training=True, momentum=momentum, eps=like.eps)
    for other in others:
        for name, value in first.items():
            other[name].copy_(value)
    return normed


def _stack(modules: Sequence[nn.Module], name: str) -> Tensor:
    return torch.stack([getattr(module, name) for module in modules])
