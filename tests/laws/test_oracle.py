"""A denoiser that knows the image leads every solver there, on every grid, in any number of steps."""

from itertools import product

import pytest
import torch

from ddpm.core import Cond, Level, Parameterisation, prediction
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.guidance import Clipped
from ddpm.sampling import SampleNoise, rows_of, sample

from .cover import every_pair
from .every import GRIDS, SOLVERS
from .exact import told

T = 120
SCHEDULES = {"linear": linear(T), "cosine": cosine(T), "zero terminal": zero_terminal_snr(linear(T))}
X0 = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


TYPES = {
    "eps": prediction.eps,
    "x0": prediction.x0,
    "v": prediction.v,
    "flow": prediction.flow,
    "edm": prediction.EDMPrediction(),
}
STEPS = [1, 2, 7, 50, T]
ROWS = every_pair(
    SOLVERS,
    GRIDS,
    product(SCHEDULES, STEPS),
    TYPES,
    [False, True],
    apart=[(("zero terminal", steps), "eps") for steps in STEPS],
)


class Knows:
    """A network whose output, of the given type, is true."""

    level: Level

    def __init__(self, kind: str):
        self.kind = kind

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        alpha, sigma = self.level.alpha, self.level.sigma
        eps = (x - alpha * X0) / sigma
        return {
            "eps": lambda: eps,
            "x0": lambda: X0,
            "v": lambda: alpha * eps - sigma * X0,
            "flow": lambda: eps - X0,
            "edm": lambda: (2 * sigma * X0 - alpha / 2 * eps) / (sigma**2 + alpha**2 / 4) ** 0.5,
        }[self.kind]()


def randn64(seed: int):
    noise = SampleNoise(rows_of(seed, range(len(X0))), tuple(X0.shape[1:]))
    return lambda: noise().double()


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_on_every_grid_finds_the_image(solver):
    """Told by a network of any type, clipped or not.

    Every two of solver, grid, type, clipping, and a number of steps on a schedule meet.
    """
    for grid, (schedule, steps), kind, clipped in (rest for name, *rest in ROWS if name == solver):
        denoise = told(Knows(kind), Parameterisation(TYPES[kind]))
        levels: list[Level] = GRIDS[grid](SCHEDULES[schedule], steps)
        found = sample(Clipped(denoise) if clipped else denoise, SOLVERS[solver], levels, randn64(1))
        case = f"{grid}, {steps} steps, {schedule}, {kind}, {clipped=}"
        torch.testing.assert_close(found, X0, rtol=0, atol=1e-11, msg=case)
