"""Weights of exponential integrators against quadrature."""

import math
from itertools import product

import pytest
import torch
from scipy.integrate import quad

from cases import cases
from ddpm.core import Level
from ddpm.sampling.exponential import bh1, bh2, combine, extrapolation, half_log_snr, interpolation, phi

NODES = [[0.0], [0.0, -0.3], [0.0, -0.3, -1.1], [0.0, -0.3, -1.1, -1.2], [0.7, 0.0, -0.3]]
LENGTHS = [1e-3, 0.02, 0.7, 1.0, 3.0, 12.0]


@cases("k", [0, 1, 2, 3, 4])
def test_phi(k):
    """``phi_k(z) = ∫₀¹ exp((1 - τ) z) τ^(k - 1) / (k - 1)! dτ``, through the change from series to recursion."""

    def integrand(tau, z):
        return math.exp((1 - tau) * z) * tau ** (k - 1) / math.factorial(k - 1)

    for z in (-30.0, -3.0, -1.0, -0.999, -1e-6, 0.0, 1e-3, 0.999, 1.0, 5.0):
        expected = math.exp(z) if k == 0 else quad(integrand, 0, 1, (z,), epsabs=0, epsrel=1e-13)[0]
        assert phi(k, z) == pytest.approx(expected, rel=1e-12)


@cases("nodes", NODES)
def test_every_polynomial_through_the_nodes_is_integrated_exactly(nodes):
    """As far as it has a term for each: ``∫₀ʰ exp(u - h) u^j du``, also on the mirrored axis."""

    def integrand(u, end, j):
        return math.exp(u - end) * u**j

    for sign, h in product((1, -1), LENGTHS):
        at, end = [sign * node for node in nodes], sign * h
        weights = interpolation(at, end)
        largest = max(map(abs, weights))
        for j in range(len(nodes)):
            expected, _ = quad(integrand, 0, end, (end, j), epsabs=0, epsrel=1e-12)
            terms = [w * u**j for w, u in zip(weights, at, strict=True)]
            assert sum(terms) == pytest.approx(expected, rel=1e-10, abs=1e-13 * largest)
        assert sum(weights) == pytest.approx(-math.expm1(-end), rel=1e-12, abs=1e-13 * largest)


@cases("b", [bh1, bh2])
def test_extrapolation(b):
    """One and two points by the papers' formulas, three by interpolation, whatever B is."""
    for h in LENGTHS:
        assert extrapolation([0.0], h, b) == pytest.approx([1 - math.exp(-h)], rel=1e-12)
        first, second = extrapolation([0.0, -0.3], h, b)
        half = (h if b is bh1 else 1 - math.exp(-h)) / 2
        # D1 = (m0 - m1) / r with r = h0 / h
        assert second == pytest.approx(-half / (0.3 / h), rel=1e-12)
        assert first == pytest.approx(1 - math.exp(-h) + half / (0.3 / h), rel=1e-12)
        assert extrapolation(NODES[2], h, b) == interpolation(NODES[2], h)


@cases("b", [bh1, bh2])
def test_two_points_are_exact_to_their_order(b):
    """``B(h) / 2`` times the slope differs from the integral by the third power of the step."""
    errors = [extrapolation([0.0, -h], h, b)[1] - interpolation([0.0, -h], h)[1] for h in (0.02, 0.01)]
    # a weight is divided by the distance of the nodes
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.05)


def test_half_log_snr():
    assert half_log_snr(Level(0.0, 3.0, 1.5)) == pytest.approx(math.log(2))
    assert half_log_snr(Level(0.0, 0.0, 1.0)) == -math.inf
    assert half_log_snr(Level(0.0, 1.0, 0.0)) == math.inf


def test_combine():
    x0, eps = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    both = combine(x0, 2.0, [0.5, -1.5], [eps, x0])
    torch.testing.assert_close(both, eps - 2 * x0, rtol=0, atol=1e-14)
