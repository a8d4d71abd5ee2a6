"""What must not change a sample: the prediction type, and the name of the solver where two are one."""

import pytest
import torch

from ddpm.core import Level, Parameterisation, prediction, scale
from ddpm.core.discrete import cosine, linear
from ddpm.guidance import Clipped
from ddpm.sampling import DDIM, Ancestral, SampleNoise, fixed_small, rows_of, sample
from ddpm.sampling.grid import trailing

from .every import GRIDS, SOLVERS
from .exact import Mixture, told

MIXTURE = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [-0.9, 0.5], [0.3, 0.15])))
SCHEDULE = linear()


def randn64(seed: int):
    noise = SampleNoise(rows_of(seed, range(3)), (1, 4, 5))
    return lambda: noise().double()


@pytest.mark.parametrize("grid", GRIDS)
def test_ddim_of_eta_1_is_ancestral_sampling(grid):
    """Of all steps, where they are shortest, on the grid of whole timesteps alone, which others of 1000 steps are."""
    for steps in [1, 2, 7, 50, *([1000] if grid == "uniform" else [])]:
        for schedule in (SCHEDULE, cosine()):
            levels = GRIDS[grid](schedule, steps)
            for denoise in (MIXTURE, Clipped(MIXTURE, 0.6)):
                ddim, ancestral = (sample(denoise, s, levels, randn64(2)) for s in (DDIM(1.0), Ancestral(fixed_small)))
                torch.testing.assert_close(ddim, ancestral, rtol=0, atol=1e-10)


class Speaks:
    """A network that says what the mixture's perfect denoiser believes, in the terms of one type."""

    level: Level

    def __init__(self, say):
        self.say = say

    def __call__(self, x, t, cond=None):
        x0 = MIXTURE(x, self.level).x0
        return self.say(x0, (x - self.level.alpha * x0) / self.level.sigma, self.level)


TYPES = {
    prediction.eps: lambda x0, eps, level: eps,
    prediction.x0: lambda x0, eps, level: x0,
    prediction.v: lambda x0, eps, level: scale(level.alpha, eps) - scale(level.sigma, x0),
    prediction.flow: lambda x0, eps, level: eps - x0,
    prediction.EDMPrediction(): lambda x0, eps, level: (
        (scale(level.sigma / 0.5, x0) - scale(0.5 * level.alpha, eps)) / (level.sigma**2 + 0.25 * level.alpha**2) ** 0.5
    ),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_prediction_type_does_not_matter(solver):
    levels = trailing(SCHEDULE, 50)
    expected = sample(MIXTURE, SOLVERS[solver], levels, randn64(3))
    assert expected.std() > 0.3
    for predict, say in TYPES.items():
        found = sample(told(Speaks(say), Parameterisation(predict)), SOLVERS[solver], levels, randn64(3))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9, msg=str(predict))
