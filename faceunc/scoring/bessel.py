"""Logarithm of the modified Bessel function of the first kind, at the orders and arguments of embeddings."""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from faceunc.scoring.arrays import numpy_in_numpy_out

_TERMS = 8  # correction terms of the expansion; from order _LEAST on the neglected rest is below 1e-13
_LEAST = 31.0


@numpy_in_numpy_out
def log_bessel_i(order: float, x: Any) -> Any:
    """``log I_v(x)``, differentiable in x any number of times.

    Args:
        order: v >= 0, a number. x: positive, any shape; float32 is computed in float64 and comes back as float32.

    Returns:
        As x. Error at most ``1e-11 + 1e-14 |log I|``, derivative to a relative 1e-11, for v up to 1023 and x from
        0.1 to 1e5 in float64 (tested against mpmath). Nothing is added inside the logarithm: the value is right
        where I_v(x) itself would underflow (v = 1023, x = 0.1: -9,200).

    Raises:
        ValueError: order below 0.

    Source: uniform (Debye) asymptotic expansion, DLMF 10.41.3; orders below 31 go up to one that is at least 31 by
    the recurrence of DLMF 10.29.1, in the direction in which it is stable.
    """
    wide = x.double()
    return (log_reduced_bessel_i(order, wide) + order * wide.log() + wide).to(x.dtype)


def log_reduced_bessel_i(order: float, x: Tensor) -> Tensor:
    """``log(I_v(x) x^-v e^-x)``, in float64: what remains after its extremes are taken out.

    Finite at x = 0, where it is ``-v log 2 - log Gamma(v + 1)``, and for x as large as 1e150.

    Raises:
        ValueError: order below 0.
    """
    if not 0.0 <= order < math.inf:
        raise ValueError(f"order must be a number of at least 0. Got {order} instead.")
    x = x.double()
    steps = max(0, math.ceil(_LEAST - order))
    result = _debye(order + steps, x)
    if not steps:
        return result
    # quotient = I_(u+1) / (x I_u), from u = order + steps downwards; all terms are positive
    quotient = torch.exp(_debye(order + steps + 1.0, x) - result)
    for step in range(steps, 0, -1):
        quotient = 1.0 / (2.0 * (order + step) + x.square() * quotient)
        result = result - quotient.log()
    return result


def _debye(order: float, x: Tensor) -> Tensor:
    """:func:`log_reduced_bessel_i` at orders of 31 and more: DLMF 10.41.3 with p^2 = v^2 / (v^2 + x^2)."""
    root = torch.sqrt(order**2 + x.square())
    inverse, p2 = 1.0 / root, (order / root).square()
    series = torch.zeros_like(x)
    for coefficients in reversed(_polynomials(_TERMS)):
        term = torch.zeros_like(x)
        for value in reversed(coefficients):
            term = term * p2 + value
        series = (series + term) * inverse
    # sqrt(v^2 + x^2) - x, without a difference of large numbers
    exponent = order**2 / (root + x) - order * torch.log(order + root)
    return exponent - 0.5 * torch.log(2.0 * math.pi * root) + torch.log1p(series)


@functools.cache
def _polynomials(count: int) -> tuple[tuple[float, ...], ...]:
    """U_k(p) / p^k for k = 1 to count, as coefficients of 1, p^2, ..., p^2k: DLMF 10.41.9, in exact fractions."""
    current, found = [Fraction(1)], []
    for k in range(count):
        # c p^n of U_k, n = k + 2 j, gives p^(n+1) and p^(n+3) of U_(k+1)
        following = [Fraction(0)] * (k + 2)
        for j, c in enumerate(current):
            n = k + 2 * j
            following[j] += c * (Fraction(n, 2) + Fraction(1, 8 * (n + 1)))
            following[j + 1] -= c * (Fraction(n, 2) + Fraction(5, 8 * (n + 3)))
        current = following
        found.append(tuple(map(float, current)))
    return tuple(found)
