"""benchmarks/few_steps.py tells images that flip from those that are near, and gives its peers the same grids."""

import pytest
import torch

from ddpm.core import Level
from ddpm.core.discrete import linear
from ddpm.sampling import DDIM


@pytest.fixture
def digits():
    from few_step_study.digits import Digits

    return Digits()


def test_the_denoiser_is_that_of_the_mixture(digits):
    """By the distances to all centres."""
    level, x = Level(0.0, 0.6, 0.8), torch.randn(3, 1, 8, 8, dtype=torch.float64)
    var = 0.6**2 * 0.05**2 + 0.8**2
    flat = x.flatten(1)
    mean = (-torch.cdist(flat, 0.6 * digits.centres).square() / (2 * var)).softmax(1) @ digits.centres
    expected = mean + 0.6 * 0.05**2 / var * (flat - 0.6 * mean)
    torch.testing.assert_close(digits(x, level).x0.flatten(1), expected, rtol=0, atol=1e-10)


def test_an_image_at_another_digit_is_flipped(digits):
    end = digits.centres[:4].reshape(4, 1, 8, 8)
    found = end + 0.01
    found[3] = digits.centres[7].reshape(1, 8, 8)
    error = digits.error(found, end)
    assert error.flipped == 0.25
    assert error.median == pytest.approx(0.01)
    assert error.mean > 0.05


def test_a_scheduler_of_diffusers_walks_on_our_grid(digits):
    from diffusers import EulerDiscreteScheduler
    from few_step_study.digits import solve, starts
    from few_step_study.ours import GRIDS
    from few_step_study.peers import _diffuse

    schedule, noise = linear(1000), starts(0, 4)
    for way in ("karras", "power"):
        levels = GRIDS[way](schedule, 6)
        scheduler = EulerDiscreteScheduler(1000, 1e-4, 0.02, "linear")
        theirs = _diffuse(scheduler, digits, noise, 6, levels)
        torch.testing.assert_close(theirs, solve(digits, DDIM(), levels, noise), rtol=0, atol=1e-4)
