"""MMPS: y moves all of the expected image."""

import pytest
import torch
from tests.laws.cover import every_pair

from cases import cases
from ddpm.constraints import MMPS, Mask
from ddpm.core import Denoised, Level
from ddpm.sampling.windows import Windows

from .observed import KNOWN, OPERATORS, SHAPE, matrices

LEVEL = Level(0.0, 0.8, 0.6)
DIM = torch.Size(SHAPE).numel()
X = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
ROOT = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(3), dtype=torch.float64) / DIM**0.5
COV = ROOT @ ROOT.mT
CROOKED = COV + 0.5 * torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(6), dtype=torch.float64) / DIM**0.5
MEAN = 0.1
LEVELS = [LEVEL, Level(0.0, 0.05, 1.0), Level(0.0, 1.0, 40.0), Level(0.0, 1.0, 0.05)]


def gaussian(cov):
    """The perfect denoiser of N(0.1, cov)."""

    def denoise(x, level, cond=None):
        noisy = level.alpha**2 * cov + level.sigma**2 * torch.eye(DIM, dtype=cov.dtype)
        x0 = MEAN + (x.flatten(1) - level.alpha * MEAN) @ torch.linalg.solve(noisy, level.alpha * cov)
        return Denoised(x0.reshape(x.shape), torch.full_like(x, 0.3))

    return denoise


def posterior(cov, a, x, y, level, noise):
    """Mean of x0 ~ N(0.1, cov) given x_t (B, n) and y (B, m) = A x0 + noise · n, of jointly Gaussian vectors."""
    h = torch.cat([level.alpha * torch.eye(DIM, dtype=a.dtype), a])
    r = torch.block_diag(level.sigma**2 * torch.eye(DIM, dtype=a.dtype), noise**2 * torch.eye(len(a), dtype=a.dtype))
    # where A has fewer dimensions than y, y is never seen outside of its range
    gain = cov @ h.mT @ torch.linalg.pinv(h @ cov @ h.mT + r, hermitian=True, rtol=1e-13)
    prior = torch.full((DIM,), MEAN, dtype=a.dtype)
    return prior + (torch.cat([x, y], 1) - prior @ h.mT) @ gain.mT


ROWS = every_pair(OPERATORS, LEVELS, [0.0, 0.1, 2.0])
"""Every operator at every level, and each with every noise."""


@cases("name", OPERATORS)
def test_of_gaussian_data_it_is_the_exact_posterior_mean(name):
    """Of any covariance; conjugate gradients end after as many steps as there are dimensions."""
    operator = OPERATORS[name]
    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    for level, noise in (rest for other, *rest in ROWS if other == name):
        expected = posterior(COV, a, X.flatten(1), y.flatten(1), level, noise).reshape(X.shape)
        found = MMPS(gaussian(COV), operator, y, noise, iterations=2 * DIM)(X, level).x0
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@cases("name", OPERATORS)
def test_of_white_data_of_that_deviation_one_step_is_exact(name):
    operator, d = OPERATORS[name], 0.7
    cov = d**2 * torch.eye(DIM, dtype=torch.float64)
    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    for level, noise in (rest for other, *rest in ROWS if other == name):
        expected = posterior(cov, a, X.flatten(1), y.flatten(1), level, noise).reshape(X.shape)
        found = MMPS(gaussian(cov), operator, y, noise, d, iterations=1)(X, level).x0
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def crooked(x, level, cond=None):
    """As networks are: of a Jacobian that is not symmetric and has directions of negative variance."""
    return Denoised((x.flatten(1) @ CROOKED).tanh().reshape(x.shape))


@cases(("name", "level", "denoise"), every_pair(OPERATORS, LEVELS, [gaussian(COV), crooked]))
def test_what_is_left_of_y_falls_with_each_iteration(name, level, denoise):
    """Of every operator at every level, and of each with a denoiser of both kinds."""
    operator = OPERATORS[name]
    y = operator.forward(X.flip(0))
    left = [(operator.pinv(y - operator.forward(denoise(X, level).x0))).flatten(1).norm(dim=1)]
    for iterations in (1, 2, 4, 8, 16):
        found = MMPS(denoise, operator, y, iterations=iterations)(X, level).x0
        left.append(operator.pinv(y - operator.forward(found)).flatten(1).norm(dim=1))
        # as far as it can be trusted
        assert (left[-1] <= left[-2] * (1 + 1e-9)).all()
    if denoise is not crooked:
        assert (left[-1] < 0.2 * left[0]).all()


def test_an_image_does_not_depend_on_its_batch():
    y = X.flip(0)
    together = MMPS(gaussian(COV), Mask(KNOWN), y)(X, LEVEL).x0
    for k in range(len(X)):
        alone = MMPS(gaussian(COV), Mask(KNOWN), y[k : k + 1])(X[k : k + 1], LEVEL).x0
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        MMPS(gaussian(COV), Mask(KNOWN), y[:1])(X[:1].expand(3, *SHAPE), LEVEL).x0, together[:1].expand(3, *SHAPE)
    )


@cases("level", [Level(0.0, 0.0, 1.0), Level(0.0, 1.0, 0.0)])
def test_pure_noise_and_the_clean_image_are_left_to_the_denoiser(level):
    x0 = X / 3
    found = MMPS(lambda x, level, cond=None: Denoised(x0), Mask(KNOWN), X)(X, level)
    assert found.x0 is x0


def test_a_denoiser_that_does_not_listen_or_turns_away_is_left_alone():
    """V is zero or negative, and has no inverse to speak of."""
    for slope in (0.0, -1.0):
        found = MMPS(lambda x, level, cond=None, slope=slope: Denoised(slope * x), Mask(KNOWN), X.flip(0))(X, LEVEL)
        assert torch.equal(found.x0, slope * X)


def test_in_half_precision_where_the_image_is_faint():
    """What is asked of a network that predicts noise is magnified by sigma / alpha."""
    level = Level(0.0, 2e-3, 1.0)

    def denoise(x, level, cond=None):
        eps = (0.5 * x.half()).float()
        return Denoised((x - level.sigma * eps) / level.alpha)

    y = 1000 * X.flip(0).float().where(KNOWN, 0)
    found = MMPS(denoise, Mask(KNOWN), y, iterations=1)(X.float(), level).x0
    torch.testing.assert_close(found.where(KNOWN, 0), y, rtol=1e-2, atol=1)


def test_in_inference_mode():
    with torch.inference_mode():
        found = MMPS(gaussian(COV), Mask(KNOWN), X.flip(0))(X.clone(), LEVEL).x0
    torch.testing.assert_close(found, MMPS(gaussian(COV), Mask(KNOWN), X.flip(0))(X, LEVEL).x0)


def test_what_is_met_already_moves_nothing():
    x0 = gaussian(COV)(X, LEVEL).x0
    assert torch.equal(MMPS(gaussian(COV), Mask(KNOWN), x0)(X, LEVEL).x0, x0)


def test_no_graph_is_left_and_the_mix_of_variances_stays():
    with torch.no_grad():
        found = MMPS(gaussian(COV), Mask(KNOWN), X.flip(0))(X, LEVEL)
    assert not found.x0.requires_grad
    assert torch.equal(found.var_mix, torch.full_like(X, 0.3))
    assert not X.requires_grad


@cases("wrong", [{"noise": -0.1}, {"sigma_data": 0.0}, {"iterations": 0}])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        MMPS(gaussian(COV), Mask(KNOWN), X, **wrong)


def test_of_larger_images_with_calls_kept_or_repeated():
    """Windows that fit into one call, and such that take many."""

    def denoise(x, level, cond=None):
        return Denoised(gaussian(COV)(x, level).x0.tanh())

    large = torch.randn(1, 3, 4, 30, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    mask = Mask(torch.rand(1, 1, 4, 30, generator=torch.Generator().manual_seed(5)) < 0.5)
    kept, repeated = (
        MMPS(Windows(denoise, SHAPE[1:], batch=batch), mask, large.flip(-1))(large, LEVEL).x0 for batch in (64, 2)
    )
    torch.testing.assert_close(repeated, kept, rtol=0, atol=1e-12)
    assert (kept - Windows(denoise, SHAPE[1:])(large, LEVEL).x0).abs().max() > 0.1
