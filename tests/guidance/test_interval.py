"""Guidance in an interval of noise: exactly the guided denoiser within, exactly the plain one outside."""

import math

import torch

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.core.continuous import VP, Continuous, EDMProcess, Flow
from ddpm.guidance import ClassifierFree, GuidanceInterval
from ddpm.sampling import DDIM, sample
from ddpm.sampling.grid import trailing

NULL = Cond(torch.tensor([[-1.0]], dtype=torch.float64))
COND = Cond(torch.tensor([[0.5], [2.0], [3.0]], dtype=torch.float64))
X = torch.randn(3, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class Counting:
    """Answers x times its condition, with the condition as the mix of variances, and counts rows."""

    def __init__(self):
        self.rows = []

    def __call__(self, x, level, cond=None):
        self.rows.append(len(x))
        each = cond.vector.reshape(-1, 1, 1)
        return Denoised(x * each, each.expand_as(x))


def at(ratio: float) -> Level:
    """The variance-preserving level of a noise-to-signal ratio."""
    return Level(0.0, math.cos(math.atan(ratio)), math.sin(math.atan(ratio)))


def interval(low: float, high: float) -> tuple[GuidanceInterval, Counting]:
    denoise = Counting()
    return GuidanceInterval(ClassifierFree(denoise, NULL, 3.0), denoise, low, high), denoise


def test_outside_it_is_the_plain_denoiser_and_half_of_the_work():
    for ratio in [1e-3, 0.1999, 5.001, 100.0]:
        denoise, network = interval(0.2, 5.0)
        out = denoise(X, at(ratio), COND)
        assert network.rows == [3]
        plain = network(X, at(ratio), COND)
        assert torch.equal(out.x0, plain.x0)
        assert torch.equal(out.var_mix, plain.var_mix)


def test_within_it_is_the_guided_one():
    for ratio in [0.2001, 1.0, 4.999]:
        denoise, network = interval(0.2, 5.0)
        out = denoise(X, at(ratio), COND)
        assert network.rows == [6]
        guided = ClassifierFree(network, NULL, 3.0)(X, at(ratio), COND)
        assert torch.equal(out.x0, guided.x0)
        assert torch.equal(out.var_mix, guided.var_mix)


def test_both_ends_are_within():
    for sigma in [0.25, 4.0]:
        denoise, network = interval(0.25, 4.0)
        denoise(X, Level(0.0, 1.0, sigma), COND)
        assert network.rows == [6]


def test_the_unit_is_the_ratio_and_not_sigma():
    """0.8 of noise is a ratio of 0.8 to a signal of 1, and of 4/3 to one of 0.6."""
    denoise, network = interval(0.7, 0.9)
    denoise(X, Level(0.0, 1.0, 0.8), COND)
    denoise(X, Level(0.0, 0.6, 0.8), COND)
    assert network.rows == [6, 3]


def test_levels_without_noise_or_without_signal():
    denoise, network = interval(0.0, 1e300)
    denoise(X, Level(0.0, 1.0, 0.0), COND)
    denoise(X, Level(0.0, 0.0, 1.0), COND)
    assert network.rows == [6, 3]


@cases("curve", [VP(), EDMProcess(), Flow()])
def test_the_work_of_a_whole_grid(curve):
    """Twice the rows for the levels within, and for no others, whatever the process."""
    grid = trailing(Continuous(curve, 100), 20)
    denoise, network = interval(0.2, 5.0)
    sample(denoise, DDIM(), grid, lambda: X, COND)
    ratios = [level.sigma / level.alpha if level.alpha else math.inf for level in grid[:-1]]
    within = sum(0.2 <= ratio <= 5.0 for ratio in ratios)
    assert 0 < within < 20
    assert sum(network.rows) == 3 * (20 + within)
