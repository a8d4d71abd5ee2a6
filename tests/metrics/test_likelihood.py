"""What the likelihood asks of a denoiser and of images; that it is right is a law (laws/test_ode_likelihood.py)."""

import math
from dataclasses import dataclass, field

import pytest
import torch
from tests.laws.exact import meeting
from torch.distributions import Normal

from ddpm.core import Cond, Denoised, Level
from ddpm.core.continuous import Continuous, SubVP
from ddpm.core.discrete import linear
from ddpm.metrics.likelihood import GREYS, ProbabilityFlow, bits_per_dim
from refusal import refuses

VARIANCE = 0.25


@dataclass
class White:
    """The perfect denoiser of independent N(shift, VARIANCE) numbers, which notes what it is asked."""

    asked: list[tuple[torch.Tensor, Level, Cond | None]] = field(default_factory=list)

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        self.asked.append((x.detach(), level, cond))
        level = meeting(level, x)
        shift = 0.0 if cond is None else cond.vector.to(x).reshape(-1, 1, 1, 1)
        gain = level.alpha * VARIANCE / (level.alpha**2 * VARIANCE + level.sigma**2)
        return Denoised(shift + gain * (x - level.alpha * shift))


def greys(n: int = 3, shape: tuple[int, ...] = (2, 4, 4)) -> torch.Tensor:
    """(n, *shape) float32 images of 8-bit values."""
    return torch.randint(256, (n, *shape), generator=torch.Generator().manual_seed(0)) / GREYS - 1


def white_bits(shift: float) -> torch.Tensor:
    """Bits per dimension of the images of greys() under N(shift, VARIANCE), in the middle of each lattice cell."""
    log_p = Normal(shift, math.sqrt(VARIANCE)).log_prob(greys().double())
    return -log_p.flatten(1).mean(1) / math.log(2) + math.log2(GREYS)


def test_bits_of_white_noise():
    """Within 0.01: dequantisation moves a value by 1 / 255 at most, up and down alike."""
    bits, _ = bits_per_dim(ProbabilityFlow(White(), linear(1000)), greys(), 0, range(3))
    torch.testing.assert_close(bits, white_bits(0.0), rtol=0, atol=0.01)


def test_the_condition_is_passed_on():
    cond = Cond(torch.tensor([[0.5], [0.0], [-0.5]]))
    bits, _ = bits_per_dim(ProbabilityFlow(White(), linear(1000)), greys(), 0, range(3), cond=cond)
    expected = torch.stack([white_bits(shift)[i] for i, shift in enumerate((0.5, 0.0, -0.5))])
    torch.testing.assert_close(bits, expected, rtol=0, atol=0.01)


def test_the_denoiser_sees_the_type_of_the_images_at_levels_of_the_schedule():
    for dtype in [torch.float32, torch.float64]:
        denoise, schedule = White(), linear(1000)
        images = greys().to(dtype)
        _, evaluations = bits_per_dim(ProbabilityFlow(denoise, schedule), images, 0, range(3))
        assert len(denoise.asked) == evaluations
        assert all(x.dtype == dtype and x.shape == images.shape for x, _, _ in denoise.asked)
        levels = [level for _, level, _ in denoise.asked]
        assert levels[0].t == pytest.approx(0, abs=1e-6)
        assert levels[-1].t == pytest.approx(999, abs=1e-6)
        assert all(level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-12) for level in levels)


@pytest.mark.parametrize("schedule", [linear(1000), Continuous(SubVP())], ids=["linear", "sub-vp"])
def test_float32_is_enough_for_the_default_tolerance(schedule):
    """Within 1e-4 nats per dimension, and not at the cost of steps; level 1 of sub-VP has a ten-thousandth of noise."""
    flow, x0 = ProbabilityFlow(White(), schedule), greys().double()
    exact, most = flow.log_density(x0, torch.ones(1, *x0.shape).double())
    rounded, evaluations = flow.log_density(x0.float(), torch.ones(1, *x0.shape))
    assert rounded.dtype == torch.float64
    torch.testing.assert_close(rounded / 32, exact / 32, rtol=0, atol=1e-4)
    assert evaluations < 2 * most


def test_an_image_does_not_depend_on_its_place_in_the_batch():
    """Bit for bit; another index is another draw."""
    flow = ProbabilityFlow(White(), linear(1000))
    images = greys()
    together, _ = bits_per_dim(flow, images, 0, range(3))
    alone, _ = bits_per_dim(flow, images[1:2], 0, [1])
    assert alone.equal(together[1:2])
    torch.manual_seed(1)
    assert bits_per_dim(flow, images[1:2], 0, [1])[0].equal(alone)
    for seed, index in ((0, 2), (1, 1)):
        assert (bits_per_dim(flow, images[1:2], seed, [index])[0] - alone).abs() > 3e-4


def coupled(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    """The perfect denoiser of images of one colour, N(0, VARIANCE), and a little noise of their own."""
    flat, level = x.mean((1, 2, 3), keepdim=True), meeting(level, x)
    n, own = x[0].numel(), 0.01
    gain = [level.alpha * var / (level.alpha**2 * var + level.sigma**2) for var in (n * VARIANCE + own, own)]
    return Denoised((gain[0] * flat + gain[1] * (x - flat)).expand_as(x))


def test_more_probes_vary_less():
    """The bits of one image as 400 indices: the variance of 8 probes is an eighth, within four standard errors."""
    n, flow = 400, ProbabilityFlow(coupled, linear(1000), rtol=1e-3, atol=1e-3)
    images = torch.full((n, 1, 4, 4), 128 / GREYS - 1)
    one, eight = (bits_per_dim(flow, images, 0, range(n), probes=k)[0].var() for k in (1, 8))
    assert abs(math.log(one / eight / 8)) < 4 * math.sqrt(2 * 2 / n)


def test_gradients_are_taken_where_they_are_off_and_left_nowhere():
    weight = torch.nn.Parameter(torch.ones(()))
    flow = ProbabilityFlow(lambda x, level, cond=None: Denoised(weight * White()(x, level).x0), linear(1000))
    with torch.no_grad():
        bits, _ = bits_per_dim(flow, greys(), 0, range(3))
    assert not bits.requires_grad
    assert weight.grad is None
    torch.testing.assert_close(bits, white_bits(0.0), rtol=0, atol=0.01)


def test_progress_is_told_after_each_step():
    told: list[int] = []
    _, evaluations = bits_per_dim(ProbabilityFlow(White(), linear(1000)), greys(), 0, range(3), progress=told.append)
    assert told == sorted(set(told))
    assert told[-1] == evaluations


@pytest.mark.parametrize(
    "images", [greys() + 0.3 / GREYS, greys() * 2, torch.zeros(3, 2, 4, 4)], ids=["between", "beyond", "mid-grey"]
)
def test_other_than_8_bit_images_are_refused(images):
    with refuses("invalid", "8-bit"):
        bits_per_dim(ProbabilityFlow(White(), linear(1000)), images, 0, range(3))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_denoiser_that_is_not_finite_ends_it(value):
    def broken(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(x * torch.where(meeting(level, x).sigma > 0.5, value, 1.0))

    with pytest.raises(ArithmeticError, match="not finite"):
        bits_per_dim(ProbabilityFlow(broken, linear(1000)), greys(), 0, range(3))
