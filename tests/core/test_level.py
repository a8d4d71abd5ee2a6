"""Levels, and coefficients that meet tensors of any number of spatial axes."""

import math

import pytest
import torch

from ddpm.core import Level, scale
from ddpm.core.gaussian import diffuse
from ddpm.core.level import noise_to_signal

SPACES = [(6,), (4, 6), (2, 4, 6)]


def test_one_coefficient_an_image():
    for space in SPACES:
        x = torch.randn(3, 2, *space)
        scaled = scale(torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64), x)
        assert scaled.shape == x.shape
        assert scaled.dtype == x.dtype
        for image, coefficient, expected in zip(scaled, (2.0, -1.0, 0.5), x, strict=True):
            assert torch.equal(image, coefficient * expected)


def test_one_coefficient_for_all():
    for space in SPACES:
        x = torch.randn(3, 2, *space)
        scaled = scale(-0.5, x)
        assert scaled.dtype == x.dtype
        assert torch.equal(scaled, -0.5 * x)


def test_floats_and_tensors_are_rounded_alike():
    """A float64 coefficient as a float and as a tensor give the same product in x's dtype."""
    for dtype in [torch.bfloat16, torch.float32, torch.float64]:
        x = torch.randn(2, 1, 3).to(dtype)
        coefficient = 1 / 3
        one_each = scale(torch.full((2,), coefficient, dtype=torch.float64), x)
        assert one_each.dtype == dtype
        torch.testing.assert_close(one_each, scale(coefficient, x), rtol=torch.finfo(dtype).eps, atol=0)


def test_diffuse():
    """``x_t = alpha · x0 + sigma · eps``, each image at its own level, alpha itself and not its square."""
    for space in SPACES:
        x0, eps = torch.randn(2, 3, *space, dtype=torch.float64), torch.randn(2, 3, *space, dtype=torch.float64)
        alpha, sigma = (torch.tensor(v, dtype=torch.float64) for v in ([0.8, 0.6], [0.6, 0.8]))
        x = diffuse(x0, eps, Level(torch.zeros(2), alpha, sigma))
        torch.testing.assert_close(x[0], 0.8 * x0[0] + 0.6 * eps[0], rtol=0, atol=1e-15)
        torch.testing.assert_close(x[1], 0.6 * x0[1] + 0.8 * eps[1], rtol=0, atol=1e-15)
        torch.testing.assert_close(diffuse(x0, eps, Level(0.0, 0.8, 0.6))[0], x[0], rtol=0, atol=1e-15)


def test_signal_to_noise():
    assert Level(0.0, 0.8, 0.4).snr == pytest.approx(4)
    assert Level(-1.0, 1.0, 0.0).snr == math.inf
    both = Level(torch.zeros(2), torch.tensor([0.8, 0.1]), torch.tensor([0.4, 0.2])).snr
    torch.testing.assert_close(both, torch.tensor([4.0, 0.25]))


def test_noise_to_signal():
    levels = Level(-1.0, 1.0, 0.0), Level(0.0, 0.0, 1.0), Level(0.0, 0.25, 0.5)
    assert [noise_to_signal(level) for level in levels] == [0.0, math.inf, 2.0]


def test_clean():
    assert Level(-1.0, 1.0, 0.0).clean
    assert not Level(0.0, 0.999, 1e-9).clean
