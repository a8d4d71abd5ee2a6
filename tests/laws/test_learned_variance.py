"""A denoiser that knows the variance makes ancestral sampling exact for Gaussian data, in any number of steps."""

import math
from itertools import pairwise

import pytest
import torch

from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.core.gaussian import posterior, transition
from ddpm.guidance import ClassifierFree, Clipped
from ddpm.sampling import Ancestral, SampleNoise, fixed_large, fixed_small, rows_of, sample
from ddpm.sampling.ancestral import learned
from ddpm.sampling.grid import trailing, uniform

MEAN = torch.tensor([0.4, -0.2], dtype=torch.float64).reshape(1, 2, 1)
VARIANCE = torch.tensor([0.3, 0.01], dtype=torch.float64).reshape(1, 2, 1)


class Knows:
    """The perfect denoiser of two independent Gaussian numbers, with the mix that gives its steps the true variance."""

    def __init__(self, grid: list[Level]):
        self.following = {now.t: next for now, next in pairwise(grid)}

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        noisy = level.alpha**2 * VARIANCE + level.sigma**2
        x0 = MEAN + level.alpha * VARIANCE / noisy * (x - level.alpha * MEAN)
        next = self.following[level.t]
        if next.clean:
            return Denoised(x0, torch.full_like(x, 0.5))
        step, large = posterior(level, next), transition(level, next).var
        wanted = step.var + step.x0_weight**2 * VARIANCE * level.sigma**2 / noisy
        mix = (wanted / step.var).log() / math.log(large / step.var)
        return Denoised(x0, mix.expand_as(x))


def spread(solver: Ancestral, grid: list[Level]) -> list[torch.Tensor]:
    """Variance (1, 2, 1) of the samples at each level of the grid, followed exactly through the affine steps."""
    denoise, variance = Knows(grid), torch.full_like(VARIANCE, grid[0].sigma ** 2)
    found = []
    for now, next in pairwise(grid):

        def step(x: float, z: float, now=now, next=next) -> torch.Tensor:
            noise = torch.full_like(VARIANCE, z)
            return solver.step(
                denoise, torch.full_like(VARIANCE, x), now, next, solver.init([now, next]), lambda: noise
            )[0]

        origin = step(0.0, 0.0)
        variance = (step(1.0, 0.0) - origin) ** 2 * variance + (step(0.0, 1.0) - origin) ** 2
        found.append(variance)
    return found


@pytest.mark.parametrize("make", [linear, cosine])
def test_every_noisy_level_has_its_true_variance(make):
    """From pure noise: alpha² times the data's variance, plus sigma². No fixed variance does that."""
    for steps in [2, 3, 5, 20]:
        grid = trailing(zero_terminal_snr(make()), steps)
        true = [level.alpha**2 * VARIANCE + level.sigma**2 for level in grid[1:-1]]
        for found, wanted in zip(spread(Ancestral(), grid), true, strict=False):
            torch.testing.assert_close(found, wanted, rtol=1e-10, atol=0)
        for fixed in (fixed_small, fixed_large):
            assert (spread(Ancestral(fixed), grid)[-2] / true[-1] - 1).abs().max() > 0.01


def test_samples_have_the_variance_of_the_data():
    """20,000 in five steps, the last of them from level 1 of 1000: within five standard errors."""
    n, schedule = 20_000, zero_terminal_snr(cosine())
    grid = uniform(schedule, 5)
    noise = SampleNoise(rows_of(0, [0]), (n, 2, 1))
    x = sample(Knows(grid), Ancestral(), grid, lambda: noise()[0].double())
    assert ((x.mean(0) - MEAN[0]).abs() < 5 * (VARIANCE[0] / n).sqrt()).all()
    # the standard error of a variance, and what the last step, which adds no noise, leaves out
    left_out = schedule.level(1).sigma ** 2
    assert ((x.var(0) - VARIANCE[0]).abs() < 5 * VARIANCE[0] * math.sqrt(2 / n) + left_out).all()


def test_clipping_and_guidance_pass_the_mix_on():
    """What the solver's variance is given is the denoiser's own, of the conditional half."""
    schedule = linear()
    now, next = schedule.level(500), schedule.level(400)
    x = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([[0.1], [0.2], [0.3]])
    given = []

    def denoise(x, level, cond):
        # of each image a mix that its condition decides
        return Denoised(5 * x, cond.vector[:, :, None].expand_as(x))

    def variance(now, next, var_mix):
        given.append(var_mix)
        return learned(now, next, var_mix)

    wrapped = Clipped(ClassifierFree(denoise, Cond(torch.tensor([[0.9]])), 3.0))
    Ancestral(variance).step(lambda x, level: wrapped(x, level, Cond(rows)), x, now, next, None, lambda: x)
    assert torch.equal(given[0], rows[:, :, None].expand_as(x))
