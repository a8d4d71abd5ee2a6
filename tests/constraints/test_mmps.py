"""MMPS: y moves all of the expected image."""

import pytest
import torch

from ddpm.constraints import MMPS, Mask
from ddpm.core import Denoised, Level

from .observed import KNOWN, OPERATORS, SHAPE, matrices

LEVEL = Level(0.0, 0.8, 0.6)
DIM = torch.Size(SHAPE).numel()
X = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
ROOT = torch.randn(DIM, DIM, generator=torch.Generator().manual_seed(3), dtype=torch.float64) / DIM**0.5
COV = ROOT @ ROOT.mT
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


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("level", LEVELS)
def test_of_gaussian_data_it_is_the_exact_posterior_mean(name, noise, level):
    """Of any covariance; conjugate gradients end after as many steps as there are dimensions."""
    operator = OPERATORS[name]
    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    expected = posterior(COV, a, X.flatten(1), y.flatten(1), level, noise).reshape(X.shape)
    found = MMPS(gaussian(COV), operator, y, noise, iterations=2 * DIM)(X, level).x0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("noise", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("level", LEVELS)
def test_of_white_data_of_that_deviation_one_step_is_exact(name, noise, level):
    operator, d = OPERATORS[name], 0.7
    cov = d**2 * torch.eye(DIM, dtype=torch.float64)
    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    expected = posterior(cov, a, X.flatten(1), y.flatten(1), level, noise).reshape(X.shape)
    found = MMPS(gaussian(cov), operator, y, noise, d, iterations=1)(X, level).x0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["mask", "pool", "blur"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_each_step_comes_nearer(name, noise):
    """In the norm of V⁻¹, which conjugate gradients make small."""
    operator = OPERATORS[name]
    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    expected = posterior(COV, a, X.flatten(1), y.flatten(1), LEVEL, noise)
    precision = torch.linalg.inv(COV) + LEVEL.snr * torch.eye(DIM, dtype=torch.float64)
    off = []
    for iterations in (1, 2, 4, 8, 16):
        found = MMPS(gaussian(COV), operator, y, noise, iterations=iterations)(X, LEVEL).x0.flatten(1)
        off.append(float(torch.einsum("bi,ij,bj->b", found - expected, precision, found - expected).max()))
    assert off == sorted(off, reverse=True)
    assert off[-1] < 0.05 * off[0]


def test_an_image_does_not_depend_on_its_batch():
    y = X.flip(0)
    together = MMPS(gaussian(COV), Mask(KNOWN), y)(X, LEVEL).x0
    for k in range(len(X)):
        alone = MMPS(gaussian(COV), Mask(KNOWN), y[k : k + 1])(X[k : k + 1], LEVEL).x0
        torch.testing.assert_close(together[k : k + 1], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        MMPS(gaussian(COV), Mask(KNOWN), y[:1])(X[:1].expand(3, *SHAPE), LEVEL).x0, together[:1].expand(3, *SHAPE)
    )


@pytest.mark.parametrize("level", [Level(0.0, 0.0, 1.0), Level(0.0, 1.0, 0.0)])
def test_pure_noise_and_the_clean_image_are_left_to_the_denoiser(level):
    x0 = X / 3
    found = MMPS(lambda x, level, cond=None: Denoised(x0), Mask(KNOWN), X)(X, level)
    assert found.x0 is x0


def test_a_denoiser_that_does_not_listen_or_turns_away_is_left_alone():
    """V is zero or negative, and has no inverse to speak of."""
    for slope in (0.0, -1.0):
        found = MMPS(lambda x, level, cond=None, slope=slope: Denoised(slope * x), Mask(KNOWN), X.flip(0))(X, LEVEL)
        assert torch.equal(found.x0, slope * X)


def test_what_is_met_already_moves_nothing():
    x0 = gaussian(COV)(X, LEVEL).x0
    assert torch.equal(MMPS(gaussian(COV), Mask(KNOWN), x0)(X, LEVEL).x0, x0)


def test_no_graph_is_left_and_the_mix_of_variances_stays():
    with torch.no_grad():
        found = MMPS(gaussian(COV), Mask(KNOWN), X.flip(0))(X, LEVEL)
    assert not found.x0.requires_grad
    assert torch.equal(found.var_mix, torch.full_like(X, 0.3))
    assert not X.requires_grad


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"sigma_data": 0.0}, {"iterations": 0}])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        MMPS(gaussian(COV), Mask(KNOWN), X, **wrong)
