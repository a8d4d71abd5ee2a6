"""A denoiser that knows the image leads every solver there, on every grid, in any number of steps."""

import pytest
import torch

from ddpm.core import Cond, Level, Parameterisation, prediction
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.guidance import Clipped
from ddpm.sampling import SampleNoise, sample

from .every import GRIDS, SOLVERS
from .exact import told

T = 120
SCHEDULES = {"linear": linear(T), "cosine": cosine(T), "zero terminal": zero_terminal_snr(linear(T))}
X0 = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


class Knows:
    """A network whose output, of the given type, is true."""

    level: Level

    def __init__(self, predict):
        self.predict = predict

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        eps = (x - self.level.alpha * X0) / self.level.sigma
        return {
            prediction.eps: lambda: eps,
            prediction.x0: lambda: X0,
            prediction.v: lambda: self.level.alpha * eps - self.level.sigma * X0,
            prediction.flow: lambda: eps - X0,
        }[self.predict]()


def randn64(seed: int):
    noise = SampleNoise(seed, range(len(X0)), tuple(X0.shape[1:]))
    return lambda: noise().double()


@pytest.mark.parametrize("steps", [1, 2, 7, 50, T])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_on_every_grid_finds_the_image(solver, grid, steps):
    """Told by a network of any type; of one type, where steps are many."""
    types = (prediction.eps, prediction.x0, prediction.v, prediction.flow) if steps < 50 else (prediction.v,)
    for name, schedule in SCHEDULES.items():
        for predict in types:
            if name == "zero terminal" and predict is prediction.eps:
                continue
            denoise = told(Knows(predict), Parameterisation(predict))
            levels: list[Level] = GRIDS[grid](schedule, steps)
            for wrapped in (denoise, Clipped(denoise)):
                found = sample(wrapped, SOLVERS[solver], levels, randn64(1))
                torch.testing.assert_close(found, X0, rtol=0, atol=1e-11, msg=f"{name}, {predict.__name__}")
