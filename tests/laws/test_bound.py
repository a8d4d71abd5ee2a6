"""Under the perfect denoiser the bound is above the data's entropy, and with the best variance almost equal to it.

The data are 8-bit values whose probabilities are those of a Gaussian, so entropy and denoiser are formulas; what the
bound is expected to be is a sum over the values and, by Gauss-Hermite quadrature, over the noise.
"""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from cases import cases
from ddpm import build
from ddpm.core import Cond, Denoised, Level
from ddpm.core.discrete import cosine, linear
from ddpm.core.gaussian import diffuse, log_variances, posterior
from ddpm.objectives.bound import bound, least, term
from ddpm.sampling.grid import uniform

VALUES = torch.arange(256, dtype=torch.float64) / 127.5 - 1


def rounded_gaussian(mean: float, std: float) -> torch.Tensor:
    """Probabilities (256,) of the 8-bit values."""
    edges = [-math.inf, *(float(v) - 1 / 255 for v in VALUES[1:]), math.inf]
    # the upper half by its tails, so that no digit is lost in 1 - Φ
    below = [0.5 * math.erfc((mean - edge) / std / math.sqrt(2)) for edge in edges]
    above = [0.5 * math.erfc((edge - mean) / std / math.sqrt(2)) for edge in edges]
    return torch.tensor(
        [above[i] - above[i + 1] if edges[i] > mean else below[i + 1] - below[i] for i in range(256)],
        dtype=torch.float64,
    )


P = rounded_gaussian(0.05, 0.2)
ENTROPY = -float((P * P.log2()).sum())
MEAN = float((P * VALUES).sum())
VARIANCE = float((P * VALUES**2).sum()) - MEAN**2
LIKELY = P > 1e-15

NODES, WEIGHTS = (torch.tensor(v) for v in np.polynomial.hermite_e.hermegauss(12))
# each value with each node of the noise: (values · nodes, 1, 1)
X0 = VALUES[LIKELY][:, None].expand(-1, 12).reshape(-1, 1, 1)
EPS = NODES.expand(int(LIKELY.sum()), 12).reshape(-1, 1, 1)
MASS = (P[LIKELY][:, None] * WEIGHTS / WEIGHTS.sum()).flatten()


def believed(x: torch.Tensor, level: Level) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of x0 given x_t: by Bayes' rule over the values; where noise hides them, a Gaussian's."""
    if level.sigma < 0.03 * level.alpha:
        likelihood = -((x - level.alpha * VALUES) ** 2) / (2 * level.sigma**2)
        share = (likelihood + P.log()).softmax(-1)
        mean = (share * VALUES).sum(-1, keepdim=True)
        return mean, (share * (VALUES - mean) ** 2).sum(-1, keepdim=True)
    noisy = level.alpha**2 * VARIANCE + level.sigma**2
    mean = MEAN + level.alpha * VARIANCE / noisy * (x - level.alpha * MEAN)
    return mean, torch.full_like(x, VARIANCE * level.sigma**2 / noisy)


class Perfect:
    """The perfect denoiser, and, if it learns the variance, the best mix.

    Given x_t the reverse step's x_s has the posterior's variance and, as x0 is not known, the mean's: ``x0_weight²``
    times the variance of x0.
    """

    def __init__(self, grid: list[Level], learns: bool):
        self.following = {now.t: next for now, next in pairwise(grid)}
        self.least, self.learns = least(grid), learns

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        mean, variance = believed(x, level)
        if not self.learns:
            return Denoised(mean)
        next = self.following[level.t]
        step, (low, high) = posterior(level, next), log_variances(level, next, self.least)
        # of a value that is known almost for certain, a variance that reaches none of its neighbours
        best = (step.var + step.x0_weight**2 * variance).clamp(min=1e-7).log()
        # between two bounds that are one, as in a process of one step, there is nothing to mix
        return Denoised(mean, (best - low) / (high - low) if high > low else torch.zeros_like(x))


HOW = {"small": (False, 0.0), "large": (False, 1.0), "learned": (True, 0.0)}


@cache
def expected(make, T: int, how: str) -> dict[str, float]:
    """The bound of the full process, and its parts, in bits."""
    learns, fixed = HOW[how]
    grid = uniform(make(T), T)
    parts = bound(Perfect(grid, learns), X0, grid, lambda: EPS, fixed=fixed)
    return {name: float(MASS @ getattr(parts, name)) for name in ("total", "kl", "decoder")}


def test_the_data():
    """Quadrature and probabilities are whole; the entropy is almost that of the Gaussian in steps of 2 / 255."""
    assert float(MASS.sum()) == pytest.approx(1, abs=1e-12)
    assert pytest.approx(0.5 * math.log2(2 * math.pi * math.e * 0.2**2) + math.log2(127.5), abs=1e-3) == ENTROPY


@pytest.mark.parametrize("make", [linear, cosine])
def test_the_entropy_the_best_variance_and_the_fixed_ones(make):
    """In this order."""
    for T in [25, 50, 100, 250, 1000]:
        small, large, learned = (expected(make, T, how)["total"] for how in HOW)
        assert learned > ENTROPY
        assert learned < min(small, large)


@pytest.mark.parametrize("name", build.SCHEDULES)
def test_no_process_is_below_the_entropy(name):
    """Nor does the best variance of its steps cost more than a fixed one, whatever its scales are."""
    for T in [1, 2, 25, 100]:
        small, large, learned = (expected(build.SCHEDULES[name], T, how)["total"] for how in HOW)
        assert learned > ENTROPY
        assert learned < min(small, large) + 1e-9


@pytest.mark.parametrize(("T", "share"), [(25, 2e-7), (100, 5e-6), (1000, 1e-3)])
@pytest.mark.parametrize("make", [linear, cosine])
def test_the_best_variance_reaches_the_entropy(make, T, share):
    """In any number of steps, as each reverse step of Gaussian data is Gaussian. What is left is that the finest noise
    of a long process, less than the step from value to value at cosine T = 1000, finds them not to be Gaussian."""
    assert expected(make, T, "learned")["total"] == pytest.approx(ENTROPY, rel=share)


@pytest.mark.parametrize("make", [linear, cosine])
def test_the_large_variance_costs_as_much_as_steps_are_long(make):
    """What it loses between noisy levels falls as 1 / T."""
    loss = {T: expected(make, T, "large")["kl"] - expected(make, T, "learned")["kl"] for T in (50, 100, 250, 1000)}
    for T, lost in loss.items():
        assert T * lost == pytest.approx(1000 * loss[1000], rel=0.1)


@pytest.mark.parametrize("make", [linear, cosine])
def test_the_small_variance_costs_less_in_more_steps(make):
    totals = [expected(make, T, "small")["total"] for T in (100, 250, 1000)]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] > 1.05 * ENTROPY


@pytest.mark.parametrize("make", [linear, cosine])
def test_many_steps_come_within_one_percent(make):
    """With a fixed variance too, in T = 4000, where the decoder costs little."""
    assert ENTROPY < expected(make, 4000, "large")["total"] < 1.01 * ENTROPY


@cases("tensors", [False, True])
@cases(("i", "j"), [(2, 1), (400, 380), (1000, 999)])
def test_a_term_is_an_expectation(i, j, tensors):
    """The mean of log q - log p over draws from q, with a learned variance, within five of its standard errors."""
    schedule, generator = linear(), torch.Generator().manual_seed(0)
    t, s = (schedule.levels(torch.tensor([k])) if tensors else schedule.level(k) for k in (i, j))
    x0 = VALUES[[20, 130, 250]].reshape(1, 3, 1)
    eps, guess, mix = (torch.rand(1, 3, 1, generator=generator, dtype=torch.float64) for _ in range(3))
    # an error that is neither lost in the noise nor beyond it
    now = schedule.level(i)
    guess, x_t = x0 + guess * now.sigma / now.alpha, diffuse(x0, eps, t)
    abar_t, abar_s = float(schedule.alpha_bar[i]), float(schedule.alpha_bar[j])
    beta = 1 - abar_t / abar_s
    variance = beta * (1 - abar_s) / (1 - abar_t)

    def mean(image):
        """Ho et al. 2020, eq. 7."""
        weight, kept = abar_s**0.5 * beta / (1 - abar_t), (1 - beta) ** 0.5 * (1 - abar_s) / (1 - abar_t)
        return weight * image + kept * x_t

    q = Normal(mean(x0), variance**0.5)
    p = Normal(mean(guess), beta ** (mix / 2) * variance ** ((1 - mix) / 2))
    x_s = q.mean + q.stddev * torch.randn(200_000, 3, 1, generator=generator, dtype=torch.float64)
    draws = (q.log_prob(x_s) - p.log_prob(x_s)).mean((1, 2)) / math.log(2)
    exact = float(term(x0, Denoised(guess, mix), t, s, least=1e-5))
    assert exact > 1e-3
    assert float(draws.mean()) == pytest.approx(exact, abs=5 * float(draws.std()) / math.sqrt(len(draws)))
