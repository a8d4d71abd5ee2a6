"""DDNM: y in the expected image."""

import pytest
import torch
from tests.laws.cover import every_pair

from cases import cases
from ddpm.constraints import DDNM, AveragePool, Mask
from ddpm.core import Denoised, Level
from ddpm.guidance import Clipped

from .observed import KNOWN, OPERATORS, SHAPE, matrices

LEVEL = Level(0.0, 0.8, 0.6)
LEVELS = [LEVEL, Level(0.0, 0.05, 1.0), Level(0.0, 1.0, 40.0), Level(0.0, 0.0, 1.0)]
X = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def half(x, level, cond=None):
    return Denoised(x / 2, torch.full_like(x, 0.3))


def gaussian_posterior(a, x, y, level, noise, d):
    """Mean of x0 ~ N(0.1, d² I) given x_t (B, n) and y (B, m) = A x0 + noise · n, of jointly Gaussian vectors."""
    eye = torch.eye(a.shape[1], dtype=a.dtype)
    h = torch.cat([level.alpha * eye, a])
    r = torch.block_diag(level.sigma**2 * eye, noise**2 * torch.eye(len(a), dtype=a.dtype))
    gain = d**2 * h.mT @ torch.linalg.inv(d**2 * h @ h.mT + r)
    prior = torch.full((a.shape[1],), 0.1, dtype=a.dtype)
    return prior + (torch.cat([x, y], 1) - prior @ h.mT) @ gain.mT


@cases("name", OPERATORS)
def test_of_white_data_it_is_the_exact_posterior_mean(name):
    """With the perfect denoiser of N(0.1, d² I). Every operator at every level, and each with every noise."""
    operator, d = OPERATORS[name], 0.7

    def denoise(x, level, cond=None):
        gain = d**2 * level.alpha / (d**2 * level.alpha**2 + level.sigma**2)
        return Denoised(0.1 + gain * (x - level.alpha * 0.1))

    y = operator.forward(X.flip(0))
    a, _ = matrices(operator, SHAPE)
    for level, noise in (rest for other, *rest in every_pair(OPERATORS, LEVELS, [1e-4, 0.1, 2.0]) if other == name):
        expected = gaussian_posterior(a, X.flatten(1), y.flatten(1), level, noise, d).reshape(X.shape)
        found = DDNM(denoise, operator, y, noise, d)(X, level).x0
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@cases("name", OPERATORS)
def test_agrees_with_y_and_leaves_the_rest(name):
    operator = OPERATORS[name]
    y = operator.forward(X.flip(0))
    found = DDNM(half, operator, y)(X, LEVEL).x0
    torch.testing.assert_close(operator.forward(found), y, rtol=0, atol=1e-12)
    a, p = matrices(operator, SHAPE)
    rest = torch.eye(len(p), dtype=a.dtype) - p @ a
    torch.testing.assert_close((found - X / 2).flatten(1) @ rest, torch.zeros(2, len(p)).double(), rtol=0, atol=1e-12)


def test_known_values_come_back_bit_for_bit_and_others_stay():
    for dtype in [torch.float32, torch.float64]:
        x, y = X.to(dtype), X.flip(0).to(dtype)
        found = DDNM(half, Mask(KNOWN), y)(x, LEVEL)
        assert torch.equal(found.x0, torch.where(KNOWN, y, x / 2))
        assert torch.equal(found.var_mix, torch.full_like(x, 0.3))


def test_outside_of_clipping_y_is_kept():
    y = AveragePool(2).forward(1.5 * X)
    kept = DDNM(Clipped(half), AveragePool(2), y)(X, LEVEL).x0
    torch.testing.assert_close(AveragePool(2).forward(kept), y)
    clipped = Clipped(DDNM(half, AveragePool(2), y))(X, LEVEL).x0
    assert (AveragePool(2).forward(clipped) - y).abs().max() > 0.1


def test_one_observation_serves_a_batch():
    y = AveragePool(2).forward(X[:1])
    found = DDNM(half, AveragePool(2), y)(X, LEVEL).x0
    torch.testing.assert_close(AveragePool(2).forward(found), y.expand(2, -1, -1, -1))


def test_the_noise_of_y_is_trusted_less_and_less():
    """Where x_t says all, y says nothing."""
    clean = Level(0.0, 1.0, 1e-5)
    y = AveragePool(2).forward(X.flip(0))
    found = DDNM(half, AveragePool(2), y, noise=0.1)(X, clean).x0
    torch.testing.assert_close(found, X / 2, rtol=0, atol=1e-6)


def test_of_the_clean_image():
    clean, y = Level(0.0, 1.0, 0.0), AveragePool(2).forward(X.flip(0))
    assert torch.equal(DDNM(half, AveragePool(2), y, noise=0.1)(X, clean).x0, X / 2)
    torch.testing.assert_close(AveragePool(2).forward(DDNM(half, AveragePool(2), y)(X, clean).x0), y)


@cases("wrong", [{"noise": -0.1}, {"sigma_data": 0.0}])
def test_what_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        DDNM(half, AveragePool(2), X, **wrong)


def test_rounds_near_an_image_in_range_that_agrees() -> None:
    """Of a block two pixels are 1 and two 0.5, and their mean is 0.2 too little: the two at 1 have no room for more."""
    y, x0 = torch.full((1, 1, 1, 1), 0.95), torch.tensor([[[[1.0, 1.0], [0.5, 0.5]]]])

    def error(rounds: int) -> float:
        held = DDNM(lambda x, level, cond=None: Denoised(x0), AveragePool(2), y, rounds=rounds)
        return float((held(x0, Level(1.0, 0.6, 0.8)).x0.clamp(-1, 1).mean() - 0.95).abs())

    # of what is missing one half goes to the two that are full, so each round halves it
    errors = [error(rounds) for rounds in range(6)]
    assert errors == pytest.approx([0.1 * 0.5**rounds for rounds in range(6)], abs=1e-6)


def test_no_rounds_with_noise() -> None:
    with pytest.raises(ValueError, match="0 with noise"):
        DDNM(lambda x, level, cond=None: Denoised(x), AveragePool(2), torch.zeros(1, 1, 1, 1), noise=0.1, rounds=2)
