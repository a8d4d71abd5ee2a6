"""The algebra of two levels against the tables of the original codes, Bayes' rule and torch.distributions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ddpm.core import Level
from ddpm.core.discrete import cosine, linear
from ddpm.core.gaussian import kl, posterior, transition


def original_tables(betas):
    """What Ho et al.'s and Nichol & Dhariwal's codes compute once from their betas."""
    alphas_cumprod = np.cumprod(1.0 - betas, axis=0)
    alphas_cumprod_prev = np.append(1.0, alphas_cumprod[:-1])
    posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)
    return {
        "betas": betas,
        "alphas_cumprod": alphas_cumprod,
        "posterior_variance": posterior_variance,
        "posterior_log_variance_clipped": np.log(np.append(posterior_variance[1], posterior_variance[1:])),
        "posterior_mean_coef1": betas * np.sqrt(alphas_cumprod_prev) / (1.0 - alphas_cumprod),
        "posterior_mean_coef2": (1.0 - alphas_cumprod_prev) * np.sqrt(1.0 - betas) / (1.0 - alphas_cumprod),
    }


def respaced(betas, kept):
    """The betas of a process that keeps only these of the original's timesteps (improved-diffusion)."""
    last, new = 1.0, []
    for i, alpha_cumprod in enumerate(np.cumprod(1.0 - betas)):
        if i in kept:
            new.append(1 - alpha_cumprod / last)
            last = alpha_cumprod
    return np.array(new)


def our_tables(schedule, kept):
    levels = [schedule.level(0), *(schedule.level(i + 1) for i in sorted(kept))]
    pairs = list(zip(levels[1:], levels, strict=False))
    steps = [posterior(t, s) for t, s in pairs]
    variance = np.array([step.var for step in steps])
    return {
        "betas": np.array([transition(t, s).var for t, s in pairs]),
        "alphas_cumprod": np.array([t.alpha**2 for t, _ in pairs]),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": np.log(np.append(variance[1], variance[1:])),
        "posterior_mean_coef1": np.array([step.x0_weight for step in steps]),
        "posterior_mean_coef2": np.array([step.xt_weight for step in steps]),
    }


def linear_betas(T):
    return np.linspace(1e-4, 0.02, T, dtype=np.float64)


def cosine_betas(T):
    def curve(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    return np.array([min(1 - curve((i + 1) / T) / curve(i / T), 0.999) for i in range(T)])


@pytest.mark.parametrize(
    ("schedule", "betas"), [(linear(1000), linear_betas(1000)), (cosine(4000), cosine_betas(4000))]
)
@pytest.mark.parametrize("stride", [1, 4, 20, 333])
def test_pairs_equal_the_original_tables(schedule, betas, stride):
    kept = set(range(0, schedule.T, stride))
    theirs, ours = original_tables(respaced(betas, kept) if stride > 1 else betas), our_tables(schedule, kept)
    for name in ("betas", "alphas_cumprod", "posterior_variance", "posterior_mean_coef2"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-12, err_msg=name)
    # The quotient of two variances of 1e-5 (at T = 4000), each known to 1e-16. The first step's is exactly 1.
    name = "posterior_mean_coef1"
    assert ours[name][0] == 1
    np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-12 if schedule.T == 1000 else 2e-12)
    # A logarithm's absolute error is the relative error of such a variance.
    name = "posterior_log_variance_clipped"
    np.testing.assert_allclose(ours[name], theirs[name], rtol=0, atol=1e-11)


fractions = st.floats(0.01, 0.99)


@settings(deadline=None)
@given(fractions, fractions)
def test_posterior_is_bayes_rule(kept_at_s, kept_after):
    """Precisions add: N(x_s; alpha_s x0, sigma_s²) times N(x_t; ratio x_s, var_t|s), as a density of x_s."""
    s = Level(0.0, kept_at_s**0.5, (1 - kept_at_s) ** 0.5)
    kept = kept_at_s * kept_after
    t = Level(1.0, kept**0.5, (1 - kept) ** 0.5)
    ratio, var = transition(t, s)
    assert ratio == pytest.approx(kept_after**0.5)
    assert var == pytest.approx(1 - kept_after, rel=1e-9)
    x0_weight, xt_weight, posterior_var = posterior(t, s)
    precision = 1 / s.sigma**2 + ratio**2 / var
    assert posterior_var == pytest.approx(1 / precision, rel=1e-9)
    assert x0_weight == pytest.approx(s.alpha / s.sigma**2 / precision, rel=1e-9)
    assert xt_weight == pytest.approx(ratio / var / precision, rel=1e-9)


def test_transitions_compose():
    """Two forward steps are one: N(ratio · x, var) twice."""
    schedule = linear()
    first, second = (
        transition(schedule.level(300), schedule.level(20)),
        transition(schedule.level(900), schedule.level(300)),
    )
    both = transition(schedule.level(900), schedule.level(20))
    assert both.ratio == pytest.approx(first.ratio * second.ratio, rel=1e-12)
    assert both.var == pytest.approx(second.ratio**2 * first.var + second.var, rel=1e-12)


def test_posterior_keeps_the_marginal():
    """x_s drawn by the posterior, with x_t at its own level, is at level s: alpha_s and sigma_s come out."""
    s, t = cosine().level(100), cosine().level(700)
    x0_weight, xt_weight, var = posterior(t, s)
    assert x0_weight + xt_weight * t.alpha == pytest.approx(s.alpha, rel=1e-12)
    assert (xt_weight * t.sigma) ** 2 + var == pytest.approx(s.sigma**2, rel=1e-12)


@pytest.mark.parametrize("space", [(5,), (4, 3), (2, 3, 4)])
def test_one_pair_an_image(space):
    """Levels of tensors give each image the numbers that floats give it alone."""
    schedule = linear()
    t, s = schedule.levels(torch.tensor([10, 900])), schedule.levels(torch.tensor([9, 0]))
    x0, x_t = torch.randn(2, 3, *space, dtype=torch.float64), torch.randn(2, 3, *space, dtype=torch.float64)
    many = posterior(t, s)
    mean = many.mean(x0, x_t)
    for k, (i, j) in enumerate([(10, 9), (900, 0)]):
        one = posterior(schedule.level(i), schedule.level(j))
        assert float(many.var[k]) == pytest.approx(one.var, rel=1e-12, abs=1e-15)
        expected = one.x0_weight * x0[k] + one.xt_weight * x_t[k]
        torch.testing.assert_close(mean[k], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("space", [(5,), (4, 3), (2, 3, 4)])
def test_kl_is_that_of_torch(space):
    shape = (2, 3, *space)
    mean_p, mean_q = torch.randn(shape, dtype=torch.float64), torch.randn(shape, dtype=torch.float64)
    p, q = torch.tensor([-1.0, 0.3], dtype=torch.float64), torch.randn(shape, dtype=torch.float64)

    def normal(mean, log_var):
        return torch.distributions.Normal(mean, (0.5 * log_var).exp())

    one_each = p.reshape(2, *[1] * (len(shape) - 1)).expand(shape)
    torch_kl = torch.distributions.kl_divergence
    cases = [
        (p, q, one_each, q),
        (-0.7, p, torch.full(shape, -0.7, dtype=torch.float64), one_each),
        (q, 0.2, q, torch.tensor(0.2, dtype=torch.float64)),
    ]
    for log_p, log_q, spread_p, spread_q in cases:
        expected = torch_kl(normal(mean_p, spread_p), normal(mean_q, spread_q))
        torch.testing.assert_close(kl(mean_p - mean_q, log_p, log_q), expected, rtol=1e-12, atol=1e-12)


def test_kl_is_an_expectation():
    """The mean of log p - log q under p, within five of its standard errors, in nats."""
    mean_p, log_p, mean_q, log_q = 0.3, -1.0, -0.2, 0.4
    n = 200_000
    x = mean_p + math.exp(log_p / 2) * torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    log_ratio = 0.5 * (-log_p - (x - mean_p) ** 2 / math.exp(log_p) + log_q + (x - mean_q) ** 2 / math.exp(log_q))
    exact = float(kl(torch.full((1, 1, 1), mean_p - mean_q).double(), log_p, log_q))
    assert float(log_ratio.mean()) == pytest.approx(exact, abs=5 * float(log_ratio.std()) / math.sqrt(n))


def test_no_divergence_from_itself():
    assert not kl(torch.zeros(2, 3, 4), -0.3, -0.3).any()


def test_small_divergences_keep_their_digits():
    """Of variances that differ by a thousandth part, ``d² / 4`` to the first order, in float32."""
    p, q = torch.full((1, 1, 1), 1e-3), 0.0
    assert float(kl(torch.zeros(1, 1, 1), p, q)) == pytest.approx(1e-6 / 4, rel=1e-3)
