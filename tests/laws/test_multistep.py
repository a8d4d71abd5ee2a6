"""What multistep methods claim of themselves: their orders, on Gaussian and mixture data, and those of their SDE."""

import math
from itertools import pairwise

import pytest
import torch

from ddpm.core import Level
from ddpm.sampling import start, steps
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.ipndm import IPNDM

from .convergence import END, GAUSSIAN, MIXTURE, MULTISTEP, at, even, even_ratio, normal

DATA = {"Gaussian": GAUSSIAN, "mixture": MIXTURE}


def slope(solver, data: str, grids: list[list[Level]]) -> float:
    """Of log error over log steps, between two grids."""
    first, last = grids[0][0], grids[0][-1]
    truth, errors = DATA[data].flow(start(first, normal), first, last), []
    for grid in grids:
        *_, last = steps(DATA[data], solver, grid, start(grid[0], normal), normal)
        errors.append(float((last.x - truth).square().mean().sqrt()))
    return math.log(errors[0] / errors[1]) / math.log(len(grids[1]) / len(grids[0]))


@pytest.mark.parametrize(("solver", "order"), MULTISTEP.values(), ids=MULTISTEP)
def test_order_of_convergence(solver, order):
    """From 200 to 400 steps, within 0.25. A corrector raises the order of its predictor by one."""
    for data in DATA:
        assert slope(solver, data, [even(200), even(400)]) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("data", DATA)
def test_a_start_where_x0_changes_leaves_order_2(data):
    """The first step, of order 1, errs by h² there, which no later step makes good."""
    grids = [[at(-2 + (END + 2) * i / n) for i in range(n + 1)] for n in (200, 400)]
    assert slope(DPMMultistep(3, curvature=1.0), data, grids) == pytest.approx(2, abs=0.25)


def test_ipndm_on_the_grid_that_it_is_made_for():
    """Even in sigma / alpha, its order is that of the Adams-Bashforth method."""
    for order in [1, 2, 3, 4]:
        grids = [even_ratio(100 * order), even_ratio(400 * order)]
        assert slope(IPNDM(order), "Gaussian", grids) == pytest.approx(order, abs=0.25)


def distribution(solver, grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (2,) and covariance (2, 2) of x at the grid's end, exactly, if x starts like noisy data.

    Every step is an affine map of the start and of all the noise so far, which the state remembers too. So its rows
    are the mean, then the axes of the start, then those of the noise of one step after the other.
    """
    n, first = len(grid) - 1, grid[0]
    x = torch.zeros(3 + 2 * n, 2, 1, dtype=torch.float64) + first.alpha * GAUSSIAN.mean[:, None]
    x[1:3, :, 0] += torch.linalg.cholesky(first.alpha**2 * GAUSSIAN.cov + first.sigma**2 * torch.eye(2)).mT
    state = solver.init(grid)
    for i, (now, next) in enumerate(pairwise(grid)):
        noise = torch.zeros_like(x)
        noise[3 + 2 * i : 5 + 2 * i, :, 0] = torch.eye(2)
        x, state = solver.step(GAUSSIAN, x, now, next, state, lambda z=noise: z)
    off = x[1:, :, 0] - x[0, :, 0]
    return x[0, :, 0], off.mT @ off


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("order", "weak", "curvature"), [(1, 1, 0.5), (2, 2, 0.5), (3, 2, 0.5), (3, 2, 1.0)])
def test_the_sde_keeps_the_distribution(order, weak, curvature, eta):
    """The mean exactly; the covariance with an error that falls at the weak order from 128 to 256 steps."""
    errors = []
    for n in (128, 256):
        grid = [at(-10 + 16 * i / n) for i in range(n + 1)]
        mean, cov = distribution(DPMMultistep(order, eta, curvature), grid)
        errors.append(
            float((cov - grid[-1].alpha ** 2 * GAUSSIAN.cov - grid[-1].sigma ** 2 * torch.eye(2)).abs().max())
        )
    torch.testing.assert_close(mean, grid[-1].alpha * GAUSSIAN.mean, rtol=0, atol=1e-12)
    assert math.log2(errors[0] / errors[1]) == pytest.approx(weak, abs=0.25)
    assert errors[1] < (0.02 if weak == 1 else 2e-4)
