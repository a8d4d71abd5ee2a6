"""The bound's parts against torch.distributions, and its estimate against all of it."""

import math
from itertools import pairwise

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.core.gaussian import diffuse, discretised_log_likelihood, posterior
from ddpm.objectives.bound import Bound, bound, every_pair, least, prior, sampled_pairs, term
from ddpm.sampling.grid import uniform

SCHEDULE = linear()
LEAST = 5e-5
SHAPE = (4, 3, 5)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape or SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


X0 = (random(0) * 255).round() / 127.5 - 1
GUESS = X0 + 0.1 * (random(1) - 0.5)
MIX = random(2)
X_T = 3 * (random(3) - 0.5)


def bits(nats: torch.Tensor) -> torch.Tensor:
    return nats.flatten(1).sum(1) / math.log(2) / X0[0].numel()


@cases("mix", [None, MIX])
@cases(("i", "j"), [(1000, 980), (500, 499), (2, 1)])
def test_a_step_between_noisy_levels(i, j, mix):
    """KL of the two posteriors, with means of x_t in full."""
    for fixed in [0.0, 0.4, 1.0]:
        t, s = SCHEDULE.level(i), SCHEDULE.level(j)
        step = posterior(t, s)
        m = fixed if mix is None else mix
        beta = 1 - t.alpha**2 / s.alpha**2
        log_var = m * math.log(beta) + (1 - m) * math.log(step.var) + torch.zeros(SHAPE, dtype=torch.float64)
        q = Normal(step.mean(X0, X_T), math.sqrt(step.var))
        p = Normal(step.mean(GUESS, X_T), (0.5 * log_var).exp())
        expected = bits(kl_divergence(q, p))
        torch.testing.assert_close(term(X0, Denoised(GUESS, mix), t, s, LEAST, fixed), expected, rtol=1e-9, atol=1e-12)


def test_the_step_to_clean():
    """8-bit values under a Gaussian around the denoised image: of the least variance, or a learned one from there."""
    for fixed in [0.0, 1.0]:
        t, s = SCHEDULE.level(3), SCHEDULE.level(0)
        expected = bits(-discretised_log_likelihood(X0, GUESS, math.log(LEAST)))
        torch.testing.assert_close(term(X0, Denoised(GUESS), t, s, LEAST, fixed), expected, rtol=1e-12, atol=0)
        log_var = MIX * 2 * math.log(t.sigma) + (1 - MIX) * math.log(LEAST)
        expected = bits(-discretised_log_likelihood(X0, GUESS, log_var))
        torch.testing.assert_close(term(X0, Denoised(GUESS, MIX), t, s, LEAST, fixed), expected, rtol=1e-12, atol=0)


@cases("mix", [None, MIX])
def test_each_image_at_its_own_step(mix):
    for fixed in [0.0, 1.0]:
        timesteps = [(1, 0), (900, 899), (2, 1), (40, 0)]
        t, s = (SCHEDULE.levels(torch.tensor(column)) for column in zip(*timesteps, strict=True))
        together = term(X0, Denoised(GUESS, mix), t, s, LEAST, fixed)
        for k, (i, j) in enumerate(timesteps):
            one = slice(k, k + 1)
            denoised = Denoised(GUESS[one], None if mix is None else mix[one])
            alone = term(X0[one], denoised, SCHEDULE.level(i), SCHEDULE.level(j), LEAST, fixed)
            torch.testing.assert_close(together[one], alone, rtol=1e-9, atol=0)


def test_nothing_is_lost_in_float32():
    """Where an image is almost known, both means are almost the same number, and float32 still has four digits."""
    t, s = SCHEDULE.level(900), SCHEDULE.level(899)
    near = X0 + 1e-3 * (random(1) - 0.5)
    exact = term(X0, Denoised(near), t, s, LEAST)
    rounded = term(X0.float(), Denoised(near.float()), t, s, LEAST)
    assert float(exact.max()) < 1e-9
    torch.testing.assert_close(rounded.double(), exact, rtol=1e-3, atol=0)


@cases("schedule", [linear(), cosine(50)])
def test_prior(schedule):
    """KL to where sampling starts, N(0, sigma²); the original codes' N(0, 1) gives almost the same."""
    level = schedule.level(schedule.T)
    q = Normal(level.alpha * X0, level.sigma)
    start = Normal(torch.zeros_like(X0), level.sigma)
    # torch's formula ends in "- 1", which costs it digits
    torch.testing.assert_close(prior(X0, level), bits(kl_divergence(q, start)), rtol=1e-12, atol=1e-15)
    if schedule.T == 1000:
        original = bits(kl_divergence(q, Normal(torch.zeros_like(X0), 1.0)))
        torch.testing.assert_close(prior(X0, level), original, rtol=1e-4, atol=0)


def test_no_prior_without_signal():
    schedule = zero_terminal_snr(linear())
    assert not prior(X0, schedule.level(1000)).any()
    assert not prior(X0, schedule.levels(torch.full((4,), 1000))).any()


def test_the_least_variance():
    """That of the second posterior of a grid; a process of one step has only var_t|s."""
    grid = uniform(SCHEDULE, 50)
    abar_1, abar_2 = (float(SCHEDULE.alpha_bar[1 + int(level.t)]) for level in (grid[-2], grid[-3]))
    expected = (1 - abar_2 / abar_1) * (1 - abar_1) / (1 - abar_2)
    assert least(grid) == pytest.approx(expected, rel=1e-10)
    assert least(grid[-3:]) == least(grid)
    assert least(grid[-2:]) == grid[-2].sigma ** 2


def shrink(x, level, cond=None):
    """A denoiser that is wrong in a way that depends on x and on the level, one or one an image."""
    alpha = torch.as_tensor(level.alpha, dtype=torch.float64).reshape(-1, 1, 1)
    return Denoised(0.7 * alpha * x, (alpha * x).sigmoid())


GRID = uniform(cosine(30), 9)


def test_the_parts_are_those_of_each_pair():
    eps = [random(10 + k) - 0.5 for k in range(9)]
    drawn = iter(eps)
    whole = bound(shrink, X0, GRID, lambda: next(drawn))
    assert whole.terms.shape == whole.x0_mse.shape == (4, 9)
    for k, (t, s) in enumerate(pairwise(GRID)):
        denoised = shrink(diffuse(X0, eps[k], t), t)
        torch.testing.assert_close(whole.terms[:, k], term(X0, denoised, t, s, least(GRID)), rtol=1e-12, atol=0)
        torch.testing.assert_close(whole.x0_mse[:, k], ((X0 - denoised.x0) ** 2).mean((1, 2)), rtol=1e-12, atol=0)
    torch.testing.assert_close(whole.prior, prior(X0, GRID[0]))
    torch.testing.assert_close(whole.total, whole.prior + whole.kl + whole.decoder)
    torch.testing.assert_close(whole.decoder, whole.terms[:, 8])


def test_a_bound_of_one_step():
    grid = uniform(cosine(30), 1)
    whole = bound(shrink, X0, grid, lambda: X_T)
    torch.testing.assert_close(whole.total, whole.prior + whole.decoder)
    assert whole.total.isfinite().all()


def test_no_gradient_is_kept():
    weight = torch.tensor(0.5, requires_grad=True, dtype=torch.float64)
    assert not bound(lambda x, level, cond: Denoised(weight * x), X0, GRID, lambda: X_T).total.requires_grad


def test_the_condition_reaches_the_denoiser():
    given, seen = object(), []

    def denoise(x, level, cond):
        seen.append(cond)
        return Denoised(x)

    bound(denoise, X0, GRID, lambda: X_T, given)
    assert seen == [given] * 9


def test_pairs_are_taken_one_by_one():
    """An iterator around the pairs sees the progress."""
    calls, seen = [], []

    def denoise(x, level, cond):
        calls.append(level)
        return Denoised(x)

    def watched():
        for pair in every_pair(GRID):
            seen.append(len(calls))
            yield pair

    bound(denoise, X0, GRID, lambda: X_T, pairs=watched())
    assert seen == list(range(9))


@cases("k", [1, 3, 5, 8])
def test_an_estimate_is_right_on_average(k):
    """Over u that meet every pair of every run equally often, with one noise: the bound itself."""
    rows = math.lcm(*range(1, 9))
    x0, eps = X0[:1].expand(rows, *SHAPE[1:]), X_T[:1].expand(rows, *SHAPE[1:])
    u = ((torch.arange(rows) + 0.5) / rows)[:, None].expand(-1, k)
    some = bound(shrink, x0, GRID, lambda: eps, pairs=sampled_pairs(GRID, u))
    whole = bound(shrink, X0[:1], GRID, lambda: X_T[:1])
    assert some.terms.shape == (rows, k + 1)
    torch.testing.assert_close(some.total.mean(0, keepdim=True), whole.total, rtol=1e-10, atol=0)
    torch.testing.assert_close(some.decoder, whole.decoder.expand(rows), rtol=1e-10, atol=0)
    if k < 8:
        assert some.total.std() > 1e-3


def test_as_many_as_there_are_is_all():
    some = bound(shrink, X0, GRID, lambda: X_T, pairs=sampled_pairs(GRID, random(4, 4, 8)))
    whole = bound(shrink, X0, GRID, lambda: X_T)
    torch.testing.assert_close(some.terms, whole.terms, rtol=1e-10, atol=0)


def test_pairs_are_spread_and_neighbours():
    """One of each run of the grid, whatever is drawn; s is the neighbour of t; each image has its own."""
    u = random(5, 4, 3)
    u[0], u[1] = 0.0, 1 - 1e-16
    *drawn, last = sampled_pairs(GRID, u)
    assert (last.now, last.next, last.weight) == (GRID[-2], GRID[-1], 1)
    t = [level.t for level in GRID]
    taken = torch.stack([pair.now.t for pair in drawn], 1)
    assert taken[0].tolist() == [t[0], t[4], t[7]]  # the cleaner, the shorter
    assert taken[1].tolist() == [t[3], t[6], t[7]]
    assert sum(pair.weight for pair in drawn) == 8
    for pair in drawn:
        for k in range(4):
            i = t.index(float(pair.now.t[k]))
            for level, of in ((pair.now, GRID[i]), (pair.next, GRID[i + 1])):
                assert Level(*(float(v[k]) for v in (level.t, level.alpha, level.sigma))) == of


@cases("k", [0, 9])
def test_more_pairs_than_there_are(k):
    with pytest.raises(ValueError, match=f"between 1 and 8, not {k}"):
        sampled_pairs(GRID, torch.zeros(4, k))


def test_sums():
    parts = Bound(torch.tensor([1.0]), torch.tensor([[2.0, 3.0, 4.0]]), torch.zeros(1, 3))
    assert (float(parts.kl), float(parts.decoder), float(parts.total)) == (5, 4, 10)
