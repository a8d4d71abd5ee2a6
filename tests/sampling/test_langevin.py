"""Langevin corrections: where they lead, and that they see one image at a time."""

from dataclasses import dataclass

import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.sampling import DDIM, Ancestral, SampleNoise, rows_of, sample, steps
from ddpm.sampling.langevin import Langevin

LEVEL = Level(0.0, 0.6, 0.8)
MEAN, STD = 0.2, 0.5


def perfect(x, level, cond=None):
    """The expected x0 of numbers from N(0.2, 0.25)."""
    var = level.alpha**2 * STD**2 + level.sigma**2
    return Denoised(MEAN + level.alpha * STD**2 / var * (x - level.alpha * MEAN))


@dataclass(frozen=True)
class Stay:
    """A predictor that predicts nothing."""

    def evaluations(self, grid):
        return 0

    def init(self, grid):
        return "its state"

    def step(self, denoise, x, now, next, state, randn):
        assert state == "its state"
        return x, state


def normal(shape, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, dtype=torch.float64, generator=generator)


@cases("snr", [0.16, 0.3])
def test_the_corrector_alone_finds_the_distribution_of_its_level(snr):
    """From pure noise, but for the bias that it is known to have: 1 / (1 - snr²) of the variance.

    With a score ``-(x - m) / v`` of D numbers the step is ``2 snr² v``, nearly: the mean falls to a part 1 - 2 snr² at
    each, and the variance is kept if ``V = (1 - 2 snr²)² V + 4 snr² v``.
    """
    shape, count = (32, 1, 1024), 32 * 1024
    grid, randn = [LEVEL] * (int(5 / snr**2) + 1), normal(shape)
    *_, last = steps(perfect, Langevin(Stay(), snr), grid, randn(), randn)
    v = LEVEL.alpha**2 * STD**2 + LEVEL.sigma**2
    # five standard errors, and 1 / D of it for the norms, which are not quite those of their expectations
    assert float(last.x.mean()) == pytest.approx(LEVEL.alpha * MEAN, abs=5 * (v / count) ** 0.5)
    expected = v / (1 - snr**2)
    assert float(last.x.var()) == pytest.approx(expected, rel=5 * (2 / count) ** 0.5 + 2 / 1024)


def test_it_mends_what_the_predictor_gets_wrong():
    """25 ancestral steps lose a fifth of the variance; with a correction after each, a fifteenth."""
    ratios = [20 * (0.05 / 20) ** (i / 25) for i in range(26)]
    grid = [Level(0.0, (1 + r * r) ** -0.5, r * (1 + r * r) ** -0.5) for r in ratios]
    v = grid[-1].alpha ** 2 * STD**2 + grid[-1].sigma ** 2
    off = {}
    for solver in (Ancestral(), Langevin()):
        *_, last = steps(perfect, solver, grid, normal((32, 1, 1024), 1)(), normal((32, 1, 1024)))
        off[type(solver)] = float(last.x.var()) / v - 1
    assert off[Ancestral] < -0.18
    assert abs(off[Langevin]) < 0.08


@cases("predictor", [Ancestral(), DDIM()])
def test_an_image_does_not_see_its_batch(predictor):
    grid = [Level(0.0, 0.0, 1.0), LEVEL, Level(0.0, 0.8, 0.6), Level(0.0, 1.0, 0.0)]

    def drawn(indices):
        noise = SampleNoise(rows_of(3, indices), (1, 4, 5))
        return sample(lambda x, level, cond: Denoised(x.tanh()), Langevin(predictor), grid, noise)

    assert torch.equal(drawn([0, 1, 2])[1:2], drawn([1]))
