"""The logarithm of the Bessel function, against mpmath at fifty digits and scipy."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch
from scipy.special import ive

from faceunc.scoring.bessel import log_bessel_i, log_reduced_bessel_i

ORDERS = [0.0, 0.5, 1.0, 7.0, 30.5, 31.0, 63.0, 127.0, 255.0, 511.0, 1023.0]
ARGUMENTS = [0.1, 1.0, 9.0, 31.0, 60.0, 255.0, 1000.0, 5000.0, 1e5]
orders = pytest.mark.parametrize("order", ORDERS)


@orders
def test_value_and_derivatives_against_mpmath(order: float) -> None:
    x = torch.tensor(ARGUMENTS, dtype=torch.float64, requires_grad=True)
    value = log_bessel_i(order, x)
    (first,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    value, first = value.detach(), first.detach()
    with mpmath.workdps(50):
        for k, argument in enumerate(ARGUMENTS):
            v, z = mpmath.mpf(order), mpmath.mpf(argument)
            bessel = mpmath.besseli(v, z)
            log, slope = mpmath.log(bessel), mpmath.besseli(v + 1, z) / bessel + v / z
            bend = 1 + (v / z) ** 2 - slope / z - slope**2  # from Bessel's differential equation
            assert abs(float(value[k]) - log) <= 1e-11 + 1e-14 * abs(log)
            assert abs(float(first[k]) - slope) <= 1e-11 * slope
            assert abs(float(second[k]) - bend) <= 1e-9 * abs(bend) + 1e-10


@orders
def test_against_scipy_where_it_does_not_underflow(order: float) -> None:
    x = np.geomspace(max(0.1, order), 1e4, 40)
    np.testing.assert_allclose(log_bessel_i(order, x), np.log(ive(order, x)) + x, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("order", [0.5, 40.0, 255.0])
def test_gradient(order: float) -> None:
    x = torch.tensor([0.3, 2.0, 40.0, 700.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: log_bessel_i(order, z), (x,))
    assert torch.autograd.gradgradcheck(lambda z: log_bessel_i(order, z), (x,))


@orders
def test_the_reduced_function_is_finite_at_both_ends(order: float) -> None:
    x = torch.tensor([0.0, 1e-30, 1e30, 1e150], dtype=torch.float64, requires_grad=True)
    value = log_reduced_bessel_i(order, x)
    (slope,) = torch.autograd.grad(value.sum(), x)
    at_zero = -order * math.log(2.0) - math.lgamma(order + 1.0)
    assert value[:2].tolist() == pytest.approx([at_zero] * 2, rel=1e-12, abs=1e-11)
    for k, argument in ((2, 1e30), (3, 1e150)):
        far = -order * math.log(argument) - 0.5 * math.log(2 * math.pi * argument)
        assert float(value[k].detach()) == pytest.approx(far, rel=1e-12)
    assert slope.tolist() == pytest.approx([-1.0, -1.0, -(order + 0.5) * 1e-30, -(order + 0.5) * 1e-150], rel=1e-12)


def test_no_plateau_at_small_concentrations() -> None:
    """The released code's 1e-6 inside the logarithm makes it flat here."""
    x = torch.tensor([1.0, 10.0, 100.0, 1000.0], dtype=torch.float64)
    steps = (log_bessel_i(255.0, x) - 255.0 * x.log()).diff()
    assert (steps > 0).all()
    assert (log_bessel_i(255.0, x).diff() > 500).all()


@orders
def test_float32_follows_float64(order: float) -> None:
    x = torch.tensor(ARGUMENTS)
    single = log_bessel_i(order, x)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), log_bessel_i(order, x.double()), rtol=1e-6)


def test_numpy_gives_numpy_of_the_same_shape() -> None:
    assert isinstance(log_bessel_i(3.0, np.ones((2, 3))), np.ndarray)
    assert log_bessel_i(3.0, np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize("order", [-0.5, math.nan, math.inf])
def test_wrong_order(order: float) -> None:
    with pytest.raises(ValueError, match="order must be a number of at least 0"):
        log_bessel_i(order, torch.ones(2))
