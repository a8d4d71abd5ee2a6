"""Each prediction type is two coefficients that lead from the network's output to x0 and back."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.core import Level, prediction
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.gaussian import diffuse
from ddpm.core.level import scale
from ddpm.core.prediction import target, x0_from_output

TYPES = [prediction.eps, prediction.x0, prediction.v, prediction.flow, prediction.EDMPrediction()]
WRITTEN_OUT = {
    prediction.eps: lambda x0, eps, alpha, sigma: eps,
    prediction.x0: lambda x0, eps, alpha, sigma: x0,
    prediction.v: lambda x0, eps, alpha, sigma: alpha * eps - sigma * x0,
    prediction.flow: lambda x0, eps, alpha, sigma: eps - x0,
    prediction.EDMPrediction(): lambda x0, eps, alpha, sigma: (
        (x0 * sigma / 0.5 - eps * 0.5 * alpha) / (sigma**2 + 0.25 * alpha**2) ** 0.5
    ),
}


@pytest.fixture(params=TYPES, ids=["eps", "x0", "v", "flow", "edm"])
def predict(request):
    return request.param


def images(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(len(shape)))


def output_from_x0(predict, x0, x, level):
    """The inverse of x0_from_output, with ``eps = (x_t - alpha · x0) / sigma``."""
    a, b = predict(level)
    return scale(a - b * level.alpha / level.sigma, x0) + scale(b / level.sigma, x)


def test_target(predict):
    x0, eps = images(2, 3, 4), images(2, 3, 4).flip(0)
    level = Level(5.0, 0.8, 0.6)
    torch.testing.assert_close(target(predict, x0, eps, level), WRITTEN_OUT[predict](x0, eps, 0.8, 0.6))


@given(kept=st.floats(1e-4, 1 - 1e-4))
@pytest.mark.parametrize("kind", TYPES)
def test_round_trip(kind, kept):
    """The true output gives the true x0, at any level; so does the way from x0 to F and back."""
    level = Level(0.0, kept**0.5, (1 - kept) ** 0.5)
    x0, eps = images(2, 3, 4), images(2, 3, 4).flip(0)
    x = diffuse(x0, eps, level)
    output = target(kind, x0, eps, level)
    torch.testing.assert_close(x0_from_output(kind, output, x, level), x0, rtol=0, atol=1e-11)
    torch.testing.assert_close(output_from_x0(kind, x0, x, level), output, rtol=0, atol=1e-11)
    anything = images(2, 3, 4) * 3 + 1
    there = x0_from_output(kind, anything, x, level)
    torch.testing.assert_close(output_from_x0(kind, there, x, level), anything, rtol=0, atol=1e-11)


def test_one_level_an_image(predict):
    for space in [(5,), (4, 3), (2, 3, 4)]:
        schedule = linear()
        indices = [1, 500, 1000]
        levels = schedule.levels(torch.tensor(indices))
        x0, eps = images(3, 2, *space), images(3, 2, *space).flip(0)
        output, x = target(predict, x0, eps, levels), diffuse(x0, eps, levels)
        torch.testing.assert_close(x0_from_output(predict, output, x, levels), x0, rtol=0, atol=1e-11)
        for k, i in enumerate(indices):
            row, level = slice(k, k + 1), schedule.level(i)
            torch.testing.assert_close(output[row], target(predict, x0[row], eps[row], level), rtol=0, atol=1e-12)


def test_every_type_says_the_same(predict):
    """One belief about x0, said in each type's terms, comes back as that belief."""
    level = linear().level(300)
    x, belief = images(2, 3, 4), images(2, 3, 4).flip(0).tanh()
    noise = (x - level.alpha * belief) / level.sigma
    said = WRITTEN_OUT[predict](belief, noise, level.alpha, level.sigma)
    torch.testing.assert_close(x0_from_output(predict, said, x, level), belief, rtol=0, atol=1e-12)


@cases("kind", [prediction.x0, prediction.v, prediction.flow])
def test_pure_noise_still_says_something_of_x0(kind):
    level = zero_terminal_snr(linear()).level(1000)
    x0, eps = images(2, 3, 4), images(2, 3, 4).flip(0)
    output = target(kind, x0, eps, level)
    torch.testing.assert_close(x0_from_output(kind, output, eps, level), x0, rtol=0, atol=1e-12)


def test_the_noise_alone_says_nothing_of_x0():
    with pytest.raises(ZeroDivisionError):
        x0_from_output(prediction.eps, images(1, 1, 2), images(1, 1, 2), Level(999.0, 0.0, 1.0))
