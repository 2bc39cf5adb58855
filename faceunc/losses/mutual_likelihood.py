"""PFE's loss: the negative mutual likelihood of genuine pairs, on gathered pairs only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def genuine_pairs(identity: Tensor, image: Tensor) -> Tensor:
    """All unordered pairs of rows that show one person on two different photographs.

    Args:
        identity: (B,) integers, who is on the row.
        image: (B,) integers, which photograph the row was made of. Two views of one photograph are never a pair:
            their distance says nothing of the person and would pull the variance to zero.

    Returns:
        (P, 2) row indices, first < second.
    """
    same = (identity[:, None] == identity[None, :]) & (image[:, None] != image[None, :])
    return torch.triu(same, diagonal=1).nonzero()


def mutual_likelihood_loss(mean: Tensor, log_var: Tensor, pairs: Tensor) -> Tensor:
    """Mean over genuine pairs of ``sum_l [d_l^2 / S_l + log S_l]``; normally NEGATIVE, for S is far below 1.

    Args:
        mean: (B, D), L2-normalised, usually frozen.
        log_var: (..., B, D) or (..., B, 1); several networks' (M, B, D) at once give the mean of their losses.
        pairs: (P, 2) from :func:`genuine_pairs`, P >= 1.

    Source: Shi & Jain, ICCV 2019, eq. 6 (twice the paper's, without its constant). Only the P pairs are computed, where
    the usual B x B broadcast computes 170 times as many at 64 identities x 4 images. In float32 loss and gradient are
    finite for log_var in [-80, 80].

    Raises:
        ValueError: when there is no pair.
    """
    if len(pairs) == 0:
        raise ValueError("the loss needs at least one genuine pair. Got none instead.")
    first, second = pairs[:, 0], pairs[:, 1]
    squares, times = (mean[first] - mean[second]).square(), 1
    if log_var.shape[-1] == 1:  # one variance for all D: sum_l d_l^2 / S + D log S
        squares, times = squares.sum(-1, keepdim=True), mean.shape[-1]
    terms: Tensor = _PairTerms.apply(squares, log_var, first, second, times)
    return terms.sum(-1).mean()


class _PairTerms(torch.autograd.Function):
    """``d^2 / S + times log S`` of every pair, (..., P, D or 1).

    By hand because the variance is exponentiated once a row, not once a pair, and because autograd would multiply
    d^2 / S^2 by the variance, which overflows long before what it stands for: a share of the variance, at most 1.
    """

    @staticmethod
    def forward(ctx: Any, squares: Tensor, log_var: Tensor, first: Tensor, second: Tensor, times: int) -> Tensor:
        variance = log_var.exp()
        own = variance.index_select(-2, first)
        total = own + variance.index_select(-2, second)
        ratio = squares / total
        ctx.save_for_backward(own, total, ratio, first, second)
        ctx.times, ctx.shape, ctx.squares = times, log_var.shape, squares.shape
        return ratio.add(total.log(), alpha=times)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        own, total, ratio, first, second = ctx.saved_tensors
        of_squares = (grad / total).sum_to_size(ctx.squares) if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return of_squares, None, None, None, None
        both = grad * (ctx.times - ratio)
        of_first = both * (own / total)  # the other row has the rest
        of_log_var = grad.new_zeros(ctx.shape)
        of_log_var.index_add_(-2, first, of_first).index_add_(-2, second, both - of_first)
        return of_squares, of_log_var, None, None, None
