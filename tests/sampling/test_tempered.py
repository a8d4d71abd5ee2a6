from itertools import pairwise

import pytest
import torch
from tests.laws.exact import Gaussian

from cases import cases
from ddpm import build
from ddpm.config.options import changed
from ddpm.config.sampling import SamplingConfig
from ddpm.core import discrete
from ddpm.sampling import SampleNoise, Solver, rows_of, start, steps

SCHEDULE = discrete.cosine(100)
ROOT = torch.tensor([[0.6, 0.0, 0.0], [0.3, 0.4, 0.0], [-0.2, 0.1, 0.5]], dtype=torch.float64)
DATA = Gaussian(torch.tensor([0.3, -0.1, 0.2], dtype=torch.float64), ROOT @ ROOT.mT)
LINEAR = ["ancestral", "ancestral-small", "ancestral-large", "euler-ancestral", "sde-dpm++-2m", "sde-dpm++-3m", "edm"]


def end(how: SamplingConfig, solver: Solver | None = None) -> torch.Tensor:
    solver = solver or build.build_solver(how, SCHEDULE)
    randn = SampleNoise(rows_of(7, range(4)), (3, 1))
    grid = build.build_grid(how, SCHEDULE)
    x = start(grid[0], randn).double()
    for step in steps(DATA, solver, grid, x, lambda: randn().double()):
        x = step.x
    return x


@cases("name", LINEAR)
def test_the_noise_of_the_way_is_scaled_and_that_of_the_start_is_not(name):
    """With a linear denoiser a sample is affine in the fresh noise, and so in its scale."""
    frozen, half, whole, double = (
        end(SamplingConfig.of(solver=name, steps=12, temperature=scale)) for scale in (0, 0.5, 1, 2)
    )
    torch.testing.assert_close(half, (frozen + whole) / 2, rtol=0, atol=1e-12)
    torch.testing.assert_close(double, 2 * whole - frozen, rtol=0, atol=1e-12)
    assert torch.equal(whole, end(SamplingConfig.of(solver=name, steps=12)))
    assert (whole - frozen).flatten(1).norm(dim=1).min() > 1e-2
    assert not torch.equal(frozen[0], frozen[1])  # the start is as it was, each image's own


def test_ancestral_samples_of_a_normal_distribution_have_the_variance_of_the_recursion():
    """x_s = mean + temperature · std · z, all of it linear: the variance is followed exactly."""
    how, temperature = SamplingConfig.of(solver="ancestral-large", steps=10), 0.7
    one = Gaussian(torch.zeros(1, dtype=torch.float64), torch.full((1, 1), 0.25, dtype=torch.float64))
    grid = build.build_grid(how, SCHEDULE)
    var = grid[0].sigma ** 2
    for now, next in pairwise(grid):
        forward = now.sigma**2 - (now.alpha / next.alpha) ** 2 * next.sigma**2
        gain = now.alpha * 0.25 / (now.alpha**2 * 0.25 + now.sigma**2)
        kept = now.alpha / next.alpha * (next.sigma / now.sigma) ** 2 + next.alpha * forward / now.sigma**2 * gain
        var = kept**2 * var + (0 if next.clean else temperature**2 * forward)
    generator = torch.Generator().manual_seed(0)
    n = 100_000

    def randn() -> torch.Tensor:
        return torch.randn(n, 1, 1, generator=generator, dtype=torch.float64)

    solver = build.build_solver(changed(how, {"temperature": temperature}), SCHEDULE)
    *_, last = steps(one, solver, grid, start(grid[0], randn), randn)
    # the relative error of a sample variance is √(2 / n) = 0.45 %: four of them
    assert last.x.var().item() == pytest.approx(var, rel=4 * (2 / n) ** 0.5)
    assert var < 0.9 * 0.25


def test_it_asks_as_often():
    how = SamplingConfig.of(solver="langevin", steps=5, temperature=0.5)
    grid = build.build_grid(how, SCHEDULE)
    solver, plain = (build.build_solver(one, SCHEDULE) for one in (how, SamplingConfig.of(solver="langevin", steps=5)))
    assert solver.evaluations(grid) == plain.evaluations(grid) == 9
