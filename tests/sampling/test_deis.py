"""DEIS against quadrature of the Lagrange polynomials in log rho."""

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import quad

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling import DDIM, steps
from ddpm.sampling.deis import DEIS

from .bent import PROCESSES, bent, start

RHOS = [30.0, 12.0, 5.0, 1.5, 0.7, 0.2]


def reference(order, grid):
    """``x_s / alpha_s = x_t / alpha_t + Σ eps_k ∫ L_k(log rho) d rho`` (Zhang & Chen 2022)."""
    x, points = start(grid[0]), []
    for now, next_ in pairwise(grid):
        eps = (x - now.alpha * bent(x, now).x0) / now.sigma
        points = [(now.sigma / now.alpha, eps), *points][:order]
        y = x / now.alpha
        for k, (rho_k, eps_k) in enumerate(points):

            def lagrange(rho, k=k, rho_k=rho_k, points=points):
                others = (other for j, (other, _) in enumerate(points) if j != k)
                return math.prod(math.log(rho / other) / math.log(rho_k / other) for other in others)

            share, _ = quad(lagrange, now.sigma / now.alpha, next_.sigma / next_.alpha, epsabs=0, epsrel=1e-12)
            y = y + share * eps_k
        x = next_.alpha * y
    return x


def test_weights_are_integrals():
    for order in [1, 2, 3]:
        for process in PROCESSES:
            grid = [PROCESSES[process](rho) for rho in RHOS]
            *_, last = steps(bent, DEIS(order), grid, start(grid[0]), torch.zeros)
            torch.testing.assert_close(last.x, reference(order, grid), rtol=0, atol=1e-10)


@cases("process", PROCESSES)
def test_order_1_is_ddim_and_every_order_ends_in_x0(process):
    grid = [*(PROCESSES[process](rho) for rho in RHOS), Level(0.0, 1.0, 0.0)]
    walks = [list(steps(bent, s, grid, start(grid[0]), torch.zeros)) for s in (DEIS(1), DDIM(), DEIS(3))]
    for ours, ddim in zip(walks[0], walks[1], strict=True):
        torch.testing.assert_close(ours.x, ddim.x, rtol=0, atol=1e-12)
    torch.testing.assert_close(walks[2][-1].x, bent(walks[2][-2].x, grid[-2]).x0, rtol=0, atol=1e-14)
    assert (walks[2][-1].x - walks[1][-1].x).abs().max() > 1e-3


def test_a_start_without_signal():
    grid = [Level(0.0, 0.0, 1.0), *(PROCESSES["straight"](rho) for rho in (3.0, 1.0, 0.3))]
    x0 = torch.full((2, 3, 4), 0.1, dtype=torch.float64)
    for step in steps(lambda x, level, cond: Denoised(x0), DEIS(3), grid, start(grid[0]), torch.zeros):
        torch.testing.assert_close(step.x, step.level.alpha * x0 + step.level.sigma * start(grid[0]))


@pytest.mark.parametrize("order", [0, 4])
def test_order_out_of_range(order):
    with pytest.raises(ValueError, match=f"order must be 1, 2 or 3, not {order}"):
        DEIS(order)
