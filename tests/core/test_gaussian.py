"""The algebra of two levels against Bayes' rule, torch.distributions and the definitions of the original codes."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.core import Level
from ddpm.core.discrete import cosine, linear
from ddpm.core.gaussian import (
    ddim,
    diffuse,
    discretised_log_likelihood,
    kl,
    log_variances,
    posterior,
    reverse_log_variance,
    transition,
    x0_variance,
)

fractions = st.floats(0.01, 0.99)


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


def test_ddim_keeps_image_and_noise():
    x0, eps = torch.randn(2, 3, 4, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    now = Level(0.0, 0.6, 1.3)
    for next in (Level(0.0, 0.7, 0.9), Level(0.0, 1.0, 0.0), Level(0.0, 0.0, 1.0)):
        x = ddim(diffuse(x0, eps, now), x0, now, next)
        torch.testing.assert_close(x, diffuse(x0, eps, next), rtol=0, atol=1e-14)


def test_one_pair_an_image():
    """Levels of tensors give each image the numbers that floats give it alone."""
    for space in [(5,), (4, 3), (2, 3, 4)]:
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


def test_kl_is_that_of_torch():
    for space in [(5,), (4, 3), (2, 3, 4)]:
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


LEAST = 3e-5


def test_one_pair_an_image_of_variances():
    """Tensors give each image the numbers that floats give it alone, clean levels among them."""
    schedule = linear()
    timesteps = [(2, 1), (1, 0), (900, 850), (7, 0)]
    t, s = (schedule.levels(torch.tensor(column)) for column in zip(*timesteps, strict=True))
    many, large = log_variances(t, s, LEAST), reverse_log_variance(t, s, LEAST, fixed=1.0)
    for k, (i, j) in enumerate(timesteps):
        one = schedule.level(i), schedule.level(j)
        alone = log_variances(*one, LEAST)
        assert float(many.low[k]) == pytest.approx(alone.low, rel=1e-14)
        assert float(many.high[k]) == pytest.approx(alone.high, rel=1e-14)
        assert float(large[k]) == pytest.approx(reverse_log_variance(*one, LEAST, fixed=1.0), rel=1e-14)


def test_variances_at_the_clean_step():
    """A fixed one is the least, small or large; a learned one goes from there up to var_t|s, which is sigma_t²."""
    schedule = linear()
    t, s = schedule.level(7), schedule.level(0)
    for fixed in (0.0, 0.3, 1.0):
        assert reverse_log_variance(t, s, LEAST, fixed=fixed) == pytest.approx(math.log(LEAST), rel=1e-14)
    mix = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64).reshape(1, 3, 1)
    expected = mix * 2 * math.log(t.sigma) + (1 - mix) * math.log(LEAST)
    torch.testing.assert_close(reverse_log_variance(t, s, LEAST, mix), expected, rtol=1e-14, atol=0)


def test_a_learned_variance_is_mixed_in_logarithms():
    """Nichol & Dhariwal 2021, eq. 15: the geometric mean of beta and beta~ with weights v and 1 - v."""
    schedule = linear()
    t, s = schedule.levels(torch.tensor([500, 2])), schedule.levels(torch.tensor([480, 1]))
    mix = torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    abar_t, abar_s = schedule.alpha_bar[[500, 2]], schedule.alpha_bar[[480, 1]]
    beta = (1 - abar_t / abar_s).reshape(2, 1, 1)
    tilde = (1 - abar_s).reshape(2, 1, 1) / (1 - abar_t).reshape(2, 1, 1) * beta
    torch.testing.assert_close(
        reverse_log_variance(t, s, LEAST, mix, fixed=1.0).exp(), beta**mix * tilde ** (1 - mix), rtol=1e-10, atol=0
    )


VALUES = torch.arange(256, dtype=torch.float64) / 127.5 - 1
LOG_VARS = [-25.0, -12.0, -8.0, -4.0, 0.0, 3.0]
MEANS = [0.0, 0.3, -1.0, 1.0, 1.7, -4.0]


def test_the_8_bit_values_have_probability_1():
    for log_var in LOG_VARS:
        for mean in MEANS:
            x = VALUES.reshape(256, 1, 1)
            exact = discretised_log_likelihood(x, torch.full_like(x, mean), log_var)
            # the edge of two values is known to 1e-16, which the precision magnifies
            assert float(exact.exp().sum()) == pytest.approx(1, abs=1e-11)
            rounded = discretised_log_likelihood(x.float(), torch.full_like(x, mean).float(), log_var)
            assert rounded.isfinite().all()
            assert float(rounded.double().exp().sum()) == pytest.approx(1, abs=1e-5)
            assert ((rounded - exact).abs() < 1e-3 + 1e-5 * exact.abs()).all()


def test_likelihood_is_the_integral():
    """By the trapezium rule over each bin, in float64; the ends by what all others leave."""
    mean, var = 0.2, 0.05
    edges = (VALUES[1:-1] - 1 / 255)[:, None] + torch.linspace(0, 2 / 255, 2001, dtype=torch.float64)
    density = (-((edges - mean) ** 2) / (2 * var)).exp() / math.sqrt(2 * math.pi * var)
    inner = torch.trapezoid(density, edges, dim=1)
    x = VALUES.reshape(256, 1, 1)
    probability = discretised_log_likelihood(x, torch.full_like(x, mean), math.log(var)).exp().flatten()
    torch.testing.assert_close(probability[1:-1], inner, rtol=1e-7, atol=0)
    above = 0.5 * math.erfc((1 - 1 / 255 - mean) / math.sqrt(2 * var))
    assert float(probability[-1]) == pytest.approx(above, rel=1e-12)
    assert float(probability[0]) == pytest.approx(0.5 * math.erfc((1 - 1 / 255 + mean) / math.sqrt(2 * var)), rel=1e-12)


def original_likelihood(x, mean, log_var):
    """Ho et al.'s and Nichol & Dhariwal's code, with its tanh for the distribution function."""

    def cdf(z):
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))

    inverse = math.exp(-0.5 * log_var)
    plus, minus = cdf(inverse * (x - mean + 1 / 255)), cdf(inverse * (x - mean - 1 / 255))
    ends = torch.where(x < -0.999, plus, torch.where(x > 0.999, 1 - minus, plus - minus))
    return ends.clamp(min=1e-12).log()


def test_likelihood_of_the_original_codes():
    """Their distribution function is off by up to 2e-4, a difference of two by twice that."""
    for log_var in LOG_VARS:
        for centre in MEANS:
            x = VALUES.reshape(256, 1, 1)
            mean = torch.full_like(x, centre)
            ours, theirs = discretised_log_likelihood(x, mean, log_var), original_likelihood(x, mean, log_var)
            assert ((ours.exp() - theirs.exp()).abs() < 4e-4).all()
            # in the bins where a decoder's image lies, the difference of their logarithms is small, too
            near = ours > -5
            assert ((ours - theirs).abs()[near] < 0.03).all()


def test_likelihood_of_the_least_likely():
    """Far from the mean ``-(distance - 1/255)² / 2 var`` and its derivatives, in float32: nothing is cut off."""
    x, log_var = torch.full((5, 1, 1), 1 / 255), torch.full((5, 1, 1), -20.0, requires_grad=True)
    mean = torch.tensor([-30.0, -1.0, 0.5, 1.0, 200.0]).reshape(5, 1, 1).requires_grad_()
    value = discretised_log_likelihood(x, mean, log_var)
    value.sum().backward()
    distance = (x - mean).detach().abs() - 1 / 255
    precision = math.exp(20)
    torch.testing.assert_close(value.detach(), -0.5 * distance**2 * precision, rtol=1e-4, atol=0)
    torch.testing.assert_close(mean.grad, (x - mean).detach().sign() * distance * precision, rtol=1e-4, atol=0)
    torch.testing.assert_close(log_var.grad, 0.5 * distance**2 * precision, rtol=1e-4, atol=0)


@cases("log_var", LOG_VARS)
def test_gradients_of_the_likelihood_are_its_slopes(log_var):
    mean = torch.tensor(MEANS, dtype=torch.float64).reshape(-1, 1, 1).requires_grad_()
    spread = torch.full_like(mean, log_var).detach().requires_grad_()
    for v in (0, 1, 128, 254, 255):
        x = VALUES[v].expand_as(mean)
        # gradcheck wants absolute errors; likelihoods grow with the precision
        scale = math.exp(min(log_var, 0))
        assert torch.autograd.gradcheck(
            lambda m, s, x=x, scale=scale: scale * discretised_log_likelihood(x, m, s), (mean, spread), eps=1e-7
        )


def test_one_log_variance_an_image():
    x, mean = VALUES[:12].reshape(2, 3, 2), torch.full((2, 3, 2), -0.9, dtype=torch.float64)
    log_var = torch.tensor([-3.0, -7.0], dtype=torch.float64)
    many = discretised_log_likelihood(x, mean, log_var)
    for k in range(2):
        alone = discretised_log_likelihood(x[k : k + 1], mean[k : k + 1], float(log_var[k]))
        torch.testing.assert_close(many[k : k + 1], alone, rtol=1e-14, atol=0)


@cases(("alpha", "sigma"), [(0.8, 0.6), (1.0, 40.0), (0.0, 1.0), (1.0, 1e-3)])
def test_the_variance_of_white_data_given_a_noisy_value(alpha, sigma):
    """Of the joint Gaussian of x0 and x_t: the Schur complement."""
    std = 0.7
    both = alpha * std**2
    expected = std**2 - both**2 / (alpha * both + sigma**2)
    assert x0_variance(Level(0.0, alpha, sigma), std) == pytest.approx(expected, rel=1e-6)
