"""Arithmetic of the fused likelihood score, one source for every device: float32 in, float32 out, no memory.

The score needs ``sum_l d_l^2 / S_l`` and ``sum_l log S_l``. A division and a logarithm cost ten times as much as a
product, so four dimensions share one division, and all of them one logarithm:

* ``n0 / s0 + n1 / s1 = (n0 s1 + n1 s0) / (s0 s1)``: fractions are added without being divided (:func:`add_fractions`);
* ``sum log S = log prod S``. A product of 128 numbers would overflow: after every factor its binary exponent is moved
  into a counter, which is exact, and the mantissa stays in [1, 2) (:func:`split`). One logarithm of it remains.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

LN2 = math.log(2.0)
HALF = np.float32(0.5)
ONE = np.float32(1.0)
MANTISSA = np.int32(0x007FFFFF)
EXPONENT_OF_ONE = np.int32(0x3F800000)
MANTISSA_BITS = np.int32(23)
BIAS = 127
# log(1 + x) on [0, 1): interpolated at Chebyshev nodes; error below 4e-8 nats, once a pair
_NODES = np.polynomial.chebyshev.chebpts1(200) * 0.5 + 0.5
_FIT = np.polynomial.Polynomial.fit(_NODES, np.log1p(_NODES), 8, domain=[0, 1], window=[0, 1]).coef
C0, C1, C2, C3, C4, C5, C6, C7, C8 = (np.float32(value) for value in _FIT)


@register_jitable(inline="always")
def add_fractions(n0: Any, s0: Any, n1: Any, s1: Any) -> Any:
    """``n0 / s0 + n1 / s1`` as (numerator, denominator)."""
    return n0 * s1 + n1 * s0, s0 * s1


@register_jitable(inline="always")
def split(product: Any) -> Any:
    """A positive normal number as (mantissa in [1, 2), biased exponent as a float32): both exact."""
    bits = np.float32(product).view(np.int32)
    exponent = np.float32(bits >> MANTISSA_BITS)
    return np.int32((bits & MANTISSA) | EXPONENT_OF_ONE).view(np.float32), exponent


@register_jitable(inline="always")
def log_mantissa(mantissa: Any) -> Any:
    """Natural logarithm of a number in [1, 2)."""
    x = mantissa - ONE
    x2 = x * x
    x4 = x2 * x2
    low = (C0 + C1 * x) + (C2 + C3 * x) * x2
    high = (C4 + C5 * x) + (C6 + C7 * x) * x2
    return low + (high + C8 * x4) * x4
