"""Samples that agree with an observation: with y itself, and, of Gaussian data, with the distribution given y.

Of Gaussian data every step is an affine map, so means and covariances are exact (:mod:`.affine`). Known is half of
four values in a row.
"""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from cases import cases
from ddpm.constraints import DDNM, MMPS, AveragePool, Blur, Composed, Grey, Mask, Operator, Replacement
from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import linear
from ddpm.core.gaussian import posterior
from ddpm.sampling import DDIM, Ancestral, SampleNoise, rows_of, sample
from ddpm.sampling.grid import LogSNR, repaint, trailing, uniform

from .affine import distribution
from .every import SOLVERS
from .exact import Gaussian, Mixture

SCHEDULE = linear()
SHAPE = (3, 4, 6)
KNOWN = torch.rand(1, 1, 4, 6, generator=torch.Generator().manual_seed(5)) < 0.5
OPERATORS: dict[str, Operator] = {
    "mask": Mask(KNOWN),
    "pool": AveragePool(2),
    "grey": Grey(),
    "blur": Blur(1.3),
    "mask of a small grey image": Composed(Composed(Mask(KNOWN[:, :, ::2, ::2]), AveragePool(2)), Grey()),
}
X0 = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
MIXTURE = Mixture(*(torch.tensor(v, dtype=torch.float64) for v in ([0.3, 0.7], [-0.6, 0.5], [0.3, 0.15])))
INDIRECT = {"adaptive", *(name for name in SOLVERS if name.startswith("ipndm"))}
"""Solvers whose last step is not what the denoiser says, but computed from it."""


def randn64(seed: int, indices=range(2)):
    noise = SampleNoise(rows_of(seed, list(indices)), SHAPE)
    return lambda: noise().double()


@dataclass(frozen=True)
class Believes:
    """A denoiser that knows x0 but for what A sees, of which it believes whatever it is shown."""

    operator: Operator

    def seen(self, x: torch.Tensor) -> torch.Tensor:
        return self.operator.pinv(self.operator.forward(x))

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(X0 - self.seen(X0) + self.seen(x))


@cases("solver", SOLVERS)
def test_a_denoiser_that_knows_the_rest_finds_the_image(solver):
    for name, operator in OPERATORS.items():
        told = DDNM(Believes(operator), operator, operator.forward(X0))
        for steps in (1, 7):
            found = sample(told, SOLVERS[solver], trailing(SCHEDULE, steps), randn64(1))
            torch.testing.assert_close(found, X0, rtol=0, atol=1e-10, msg=f"{name}, {steps} steps")


@cases("solver", SOLVERS)
def test_samples_agree_with_the_observation(solver):
    grid = repaint(trailing(SCHEDULE, 6), 2, 2)
    for name, operator in OPERATORS.items():
        y = operator.forward(X0)
        found = sample(DDNM(MIXTURE, operator, y), SOLVERS[solver], grid, randn64(2))
        torch.testing.assert_close(operator.forward(found), y, rtol=0, atol=1e-11, msg=f"DDNM of the {name}")
        assert (found - X0).abs().max() > 0.1
        found = sample(MIXTURE, SOLVERS[solver], grid, randn64(2), constraint=Replacement(operator, y))
        torch.testing.assert_close(operator.forward(found), y, rtol=0, atol=1e-11, msg=f"replacement of the {name}")


@cases("solver", SOLVERS)
def test_known_values_come_back_bit_for_bit(solver):
    mask, grid = Mask(KNOWN), trailing(SCHEDULE, 6)
    known = KNOWN.expand_as(X0)
    if solver not in INDIRECT:
        found = sample(DDNM(MIXTURE, mask, X0), SOLVERS[solver], grid, randn64(3))
        assert torch.equal(found[known], X0[known])
    found = sample(MIXTURE, SOLVERS[solver], grid, randn64(3), constraint=Replacement(mask, X0))
    assert torch.equal(found[known], X0[known])


@cases("solver", ["ancestral", "ddim", "unipc-3", "dpm++-2m"])
def test_an_image_does_not_depend_on_its_batch(solver):
    mask, grid = Mask(KNOWN), repaint(trailing(SCHEDULE, 6), 2, 3)
    both = sample(MIXTURE, SOLVERS[solver], grid, randn64(4), constraint=Replacement(mask, X0))
    again = sample(MIXTURE, SOLVERS[solver], grid, randn64(4), constraint=Replacement(mask, X0))
    second = sample(MIXTURE, SOLVERS[solver], grid, randn64(4, [1]), constraint=Replacement(mask, X0[1:]))
    assert torch.equal(both, again)
    torch.testing.assert_close(both[1:], second, rtol=0, atol=1e-12)


SIZE, STD = 4, 0.5
HALF = Mask((torch.arange(SIZE) < SIZE // 2).reshape(1, SIZE, 1))
K, U = slice(0, SIZE // 2), slice(SIZE // 2, SIZE)
Y = torch.tensor([[[0.4], [0.5], [0.0], [0.0]]], dtype=torch.float64)
PLACES = torch.arange(SIZE, dtype=torch.float64)
COV = STD**2 * (-(PLACES[:, None] - PLACES).abs() / 3).exp()
EYE = torch.eye(SIZE, dtype=torch.float64)
MEAN = torch.tensor([0.1, 0.0, -0.1, 0.2], dtype=torch.float64)
DATA = Gaussian(MEAN, COV)
GAIN = torch.linalg.solve(COV[K, K], COV[K, U]).mT
GIVEN = (MEAN[U] + GAIN @ (Y[0, K, 0] - MEAN[K]), COV[U, U] - GAIN @ COV[K, U])
"""Mean and covariance of the unknown half given the known one."""


def errors(found: tuple[torch.Tensor, torch.Tensor]) -> tuple[float, float]:
    """Of the unknown half: the mean's over how far y moves it, the covariance's over its size."""
    mean, cov = found
    shift = (GIVEN[0] - MEAN[U]).norm()
    return float((mean[U] - GIVEN[0]).norm() / shift), float((cov[U, U] - GIVEN[1]).norm() / GIVEN[1].norm())


@cases("noise", [0.0, 0.3])
@cases("solver", ["ancestral", "ddim", "unipc-3"])
def test_of_white_data_ddnm_samples_the_conditional_distribution(solver, noise):
    """A weighted mean of the values is seen, with noise or without."""
    white, operator = Gaussian(MEAN, STD**2 * EYE), Grey((0.4, 0.3, 0.2, 0.1))
    a, y = torch.tensor([operator.weights], dtype=torch.float64), torch.full((1, 1, 1), 0.5, dtype=torch.float64)
    gain = STD**2 * a.mT / (STD**2 * a @ a.mT + noise**2)
    expected = MEAN + gain @ (y[0, :, 0] - a @ MEAN), STD**2 * (EYE - gain @ a)
    off = []
    for steps in (50, 200):
        grid = LogSNR()(linear(100_000), steps)
        mean, cov = distribution(DDNM(white, operator, y, noise, STD), SOLVERS[solver], grid, SIZE)
        off.append((float((mean - expected[0]).abs().max()), float((cov - expected[1]).abs().max())))
    assert off[1][0] < 2e-3
    assert off[1][1] < 0.06 * STD**2
    assert off[1][1] < 0.4 * off[0][1]


def replaced(grid: list[Level]) -> tuple[torch.Tensor, torch.Tensor]:
    """Replacement with ancestral steps on a grid that falls, by its recursion: the known half has fresh noise."""
    mean, cov = torch.zeros(SIZE).double(), grid[0].sigma ** 2 * EYE
    for now, next in pairwise(grid):
        mean[K], cov[K, :], cov[:, K] = now.alpha * Y[0, K, 0], 0, 0
        cov[K, K] = now.sigma**2 * EYE[K, K]
        gain = now.alpha * COV @ torch.linalg.inv(now.alpha**2 * COV + now.sigma**2 * EYE)
        x0_weight, xt_weight, var = posterior(now, next)
        step = x0_weight * gain + xt_weight * EYE
        mean = step @ mean + x0_weight * (MEAN - now.alpha * gain @ MEAN)
        cov = step @ cov @ step.mT + var * EYE
    return mean, cov


def test_replacement_is_its_recursion_and_more_steps_leave_its_bias():
    """The unknown half believes noisy values beside it whose noise is another at every level."""
    found = []
    for steps in (20, 100):
        grid = uniform(SCHEDULE, steps)
        mean, cov = distribution(DATA, Ancestral(), grid, SIZE, Replacement(HALF, Y))
        expected = replaced(grid)
        torch.testing.assert_close(mean[U], expected[0][U], rtol=0, atol=1e-12)
        torch.testing.assert_close(cov[U, U], expected[1][U, U], rtol=0, atol=1e-12)
        found.append(errors((mean, cov)))
    found += [errors(replaced(uniform(SCHEDULE, steps))) for steps in (500, 1000)]
    means = [mean for mean, _ in found]
    assert means == sorted(means, reverse=True)
    assert means[2] - means[3] < 0.002 < 0.47 < means[3]


def held(grid: list[Level]) -> tuple[torch.Tensor, torch.Tensor]:
    """DDNM with DDIM by its recursion: the known half is ``alpha y + sigma e``, e drawn once, at the first level."""
    first, n = grid[0], SIZE // 2
    # of (e, the unknown half of x)
    mean = torch.cat([-first.alpha / first.sigma * Y[0, K, 0], torch.zeros(n).double()])
    cov = torch.block_diag(EYE[K, K], first.sigma**2 * EYE[U, U])
    for now, next in pairwise(grid):
        gain = now.alpha * COV[U] @ torch.linalg.inv(now.alpha**2 * COV + now.sigma**2 * EYE)
        kept = next.sigma / now.sigma
        brings = next.alpha - kept * now.alpha
        step = torch.cat([EYE[K], brings * gain @ torch.block_diag(now.sigma * EYE[K, K], EYE[U, U]) + kept * EYE[U]])
        known = gain[:, K] @ (now.alpha * Y[0, K, 0])
        mean = step @ mean
        mean[U] += brings * (MEAN[U] - now.alpha * gain @ MEAN + known)
        cov = step @ cov @ step.mT
    return mean, cov


def test_ddnm_is_its_recursion_and_has_replacements_mean():
    for steps in (20, 100):
        grid = uniform(SCHEDULE, steps)
        mean, cov = distribution(DDNM(DATA, HALF, Y), DDIM(), grid, SIZE)
        expected = held(grid)
        torch.testing.assert_close(mean[U], expected[0][U], rtol=0, atol=1e-12)
        torch.testing.assert_close(cov[U, U], expected[1][U, U], rtol=0, atol=1e-12)
        torch.testing.assert_close(mean[K], Y[0, K, 0], rtol=0, atol=1e-12)
        ancestral, _ = distribution(DDNM(DATA, HALF, Y), Ancestral(), grid, SIZE)
        # but for the first level, where DDNM knows nothing yet and alpha is 0.006
        torch.testing.assert_close(ancestral[U], replaced(grid)[0][U], rtol=0, atol=1e-5)
    off, finer = (errors(held(uniform(SCHEDULE, steps))) for steps in (500, 1000))
    assert finer == pytest.approx(off, abs=0.01)
    assert min(finer) > 0.3


KNOWS_ALL = Gaussian(torch.cat([Y[0, K, 0], GIVEN[0]]), torch.block_diag(0 * EYE[K, K], GIVEN[1]))
"""The perfect denoiser of the conditional distribution."""


def test_mmps_of_a_perfect_denoiser_is_that_of_the_conditional_distribution():
    for level in uniform(SCHEDULE, 5)[:-1]:
        x = torch.randn(3, SIZE, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        found, expected = MMPS(DATA, HALF, Y)(x, level).x0, KNOWS_ALL(x, level).x0
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


@cases("solver", ["ancestral", "ddim", "heun", "unipc-3"])
def test_mmps_samples_the_conditional_distribution(solver):
    """Which neither DDNM, replacement nor RePaint do, however many steps they take.

    Of the mean, 0.006 are missing in the noise to begin with, as much as alpha is there.
    """
    off = []
    for steps in (50, 200):
        grid = LogSNR()(linear(100_000), steps)
        found = distribution(MMPS(DATA, HALF, Y), SOLVERS[solver], grid, SIZE)
        torch.testing.assert_close(found, distribution(KNOWS_ALL, SOLVERS[solver], grid, SIZE), rtol=0, atol=1e-6)
        off.append(errors(found))
    assert off[1][0] < 4e-3
    assert off[1][1] < 0.06
    assert off[1][1] < 0.4 * off[0][1]


@cases("solver", ["ancestral", "ddim", "heun"])
def test_repaint_comes_nearer_the_more_often_it_goes_back(solver):
    for jump in [1, 10]:
        levels, off = uniform(SCHEDULE, 30), []
        for times in (1, 2, 4, 8):
            grid = repaint(levels, jump, times)
            off.append(errors(distribution(DATA, SOLVERS[solver], grid, SIZE, Replacement(HALF, Y))))
        means, covs = zip(*off, strict=True)
        assert all(after < before for before, after in pairwise(means))
        if jump == 1:
            assert means[-1] < 0.4 * means[0]
        if solver == "heun":
            assert all(after < before for before, after in pairwise(covs))
