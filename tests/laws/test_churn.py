"""EDM's stochastic sampler keeps the distribution of Gaussian data, with an error that falls as its steps' do."""

import math
from itertools import pairwise

import pytest
import torch

from ddpm.sampling.edm import EDMSolver

from .every import between
from .test_order import GAUSSIAN, log_snr_grid


def distribution(solver, grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (2,) and covariance (2, 2) at the grid's end, exactly, of x that starts as noisy data."""
    first, state = grid[0], solver.init(grid)
    mean, cov = first.alpha * GAUSSIAN.mean, first.alpha**2 * GAUSSIAN.cov + first.sigma**2 * torch.eye(2)
    # five rows: the origin and the two axes without noise, then the origin with noise along each axis
    x, z = torch.zeros(5, 2, 1).double(), torch.zeros(5, 2, 1).double()
    x[1:3, :, 0] = z[3:5, :, 0] = torch.eye(2)
    for now, next in pairwise(grid):
        moved, _ = solver.step(GAUSSIAN, x, now, next, state, lambda: z)
        shift = moved[0, :, 0]
        along, noise = (moved[1:3, :, 0] - shift).mT, (moved[3:5, :, 0] - shift).mT
        mean, cov = along @ mean + shift, along @ cov @ along.mT + noise @ noise.mT
    return mean, cov


def test_the_error_of_the_covariance_is_of_second_order():
    """With S_noise 1, from 200 to 800 steps; the mean is exact."""
    for churn in [0.0, 5.0, 40.0]:
        errors = []
        for n in (200, 800):
            grid = log_snr_grid(n)
            mean, cov = distribution(EDMSolver(between, churn, 0, math.inf, 1.0), grid)
            torch.testing.assert_close(mean, grid[-1].alpha * GAUSSIAN.mean, rtol=0, atol=1e-12)
            true = grid[-1].alpha ** 2 * GAUSSIAN.cov + grid[-1].sigma ** 2 * torch.eye(2)
            errors.append(float((cov - true).abs().max()))
        assert math.log(errors[0] / errors[1]) / math.log(4) == pytest.approx(2, abs=0.1)
        assert errors[1] < 1e-4


def test_more_noise_than_was_taken_widens():
    """What S_noise is for: networks that take too much away."""
    grid = log_snr_grid(100)
    spread = [
        float(distribution(EDMSolver(between, 40.0, noise=noise), grid)[1].trace()) for noise in (1.0, 1.003, 1.01)
    ]
    assert spread == sorted(set(spread))
