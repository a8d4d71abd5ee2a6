"""A solver says beforehand how often it asks the denoiser; one that controls its own steps, at the most."""

from itertools import product

import torch

from cases import cases
from ddpm.core import Cond, Continuous, Denoised, Level
from ddpm.core.continuous import Flow
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.sampling import sample

from .cover import every_pair
from .every import GRIDS, SOLVERS
from .exact import Mixture

T = 60
SCHEDULES = {"linear": linear(T), "zero terminal": zero_terminal_snr(linear(T)), "flow": Continuous(Flow(), T)}
AT_MOST = {"adaptive"}
"""Solvers that take as many steps as the image needs."""


class Counted:
    """The perfect denoiser of a mixture, and how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0
        weights, means, stds = torch.tensor([[0.3, 0.7], [-0.6, 0.5], [0.3, 0.15]], dtype=torch.float64)
        self.mixture = Mixture(weights, means, stds)

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        self.calls += 1
        return self.mixture(x, level)


ROWS = every_pair(SOLVERS, GRIDS, product(SCHEDULES, [1, 2, 3, 7, 50]))


@cases("solver", SOLVERS)
def test_as_many_calls_as_it_says(solver):
    """And what it draws is finite, be there signal at the noisiest level or not.

    Every two of solver, grid, and a number of steps on a schedule meet.
    """
    for grid, (name, steps) in (rest for other, *rest in ROWS if other == solver):
        levels, generator, denoise = GRIDS[grid](SCHEDULES[name], steps), torch.Generator().manual_seed(0), Counted()
        drawn = sample(
            denoise, SOLVERS[solver], levels, lambda g=generator: torch.randn(2, 4, generator=g, dtype=torch.float64)
        )
        said, case = SOLVERS[solver].evaluations(levels), f"{grid}, {steps} steps, {name}"
        assert denoise.calls <= said if solver in AT_MOST else denoise.calls == said, case
        assert drawn.isfinite().all(), case
