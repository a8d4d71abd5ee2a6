"""iPNDM: the Adams-Bashforth weights, and DDIM's step with their mean."""

from itertools import pairwise

import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling import DDIM, steps
from ddpm.sampling.ipndm import ADAMS_BASHFORTH, IPNDM

from .bent import PROCESSES, bent, start

RHOS = [9.0, 5.0, 3.0, 2.0, 1.0, 0.3, 0.0]


@cases("weights", ADAMS_BASHFORTH)
def test_the_weights_average_polynomials_over_the_next_step(weights):
    """``∫₀¹ u^j du`` from the values at 0, -1, -2, …, for as many powers as there are weights."""
    for j in range(len(weights)):
        assert sum(w * (-k) ** j for k, w in enumerate(weights)) == pytest.approx(1 / (j + 1), abs=1e-14)


def test_steps_are_ddims_with_the_mean_of_the_last_eps():
    """The last one too, of full order."""
    for order in [1, 2, 3, 4]:
        for process in PROCESSES:
            grid = [PROCESSES[process](rho) for rho in RHOS]
            x, past = start(grid[0]), []
            ours = steps(bent, IPNDM(order), grid, x, torch.zeros)
            for now, next_ in pairwise(grid):
                past = [(x - now.alpha * bent(x, now).x0) / now.sigma, *past][:order]
                eps = sum(w * e for w, e in zip(ADAMS_BASHFORTH[len(past) - 1], past, strict=True))
                x = next_.alpha * (x - now.sigma * eps) / now.alpha + next_.sigma * eps
                torch.testing.assert_close(next(ours).x, x, rtol=0, atol=1e-12)


@cases("process", PROCESSES)
def test_order_1_is_ddim(process):
    grid = [PROCESSES[process](rho) for rho in RHOS]
    walks = (steps(bent, solver, grid, start(grid[0]), torch.zeros) for solver in (IPNDM(1), DDIM()))
    for ours, ddim in zip(*walks, strict=True):
        torch.testing.assert_close(ours.x, ddim.x, rtol=0, atol=1e-12)


def test_a_start_without_signal():
    grid = [Level(0.0, 0.0, 1.0), *(PROCESSES["straight"](rho) for rho in (3.0, 1.0, 0.3, 0.0))]
    x0 = torch.full((2, 3, 4), 0.1, dtype=torch.float64)
    for step in steps(lambda x, level, cond: Denoised(x0), IPNDM(4), grid, start(grid[0]), torch.zeros):
        torch.testing.assert_close(step.x, step.level.alpha * x0 + step.level.sigma * start(grid[0]))


@pytest.mark.parametrize("order", [0, 5])
def test_order_out_of_range(order):
    with pytest.raises(ValueError, match=f"order must be 1, 2, 3 or 4, not {order}"):
        IPNDM(order)
