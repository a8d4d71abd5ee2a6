"""Schedules against their papers' formulas, written once more in NumPy."""

import math

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.core import Discrete, Level
from ddpm.core.discrete import cosine, from_betas, linear, scaled_linear, sigmoid, zero_terminal_snr

ALL = [linear, scaled_linear, cosine, sigmoid]
LENGTHS = [1, 2, 7, 50, 1000, 4000]


def from_curve(curve, T):
    """ᾱ_1 … ᾱ_T of a curve over [0, 1] whose betas are held at 0.999, step by step."""
    kept, result = 1.0, []
    for i in range(T):
        kept *= 1 - min(1 - curve((i + 1) / T) / curve(i / T), 0.999)
        result.append(kept)
    return np.array(result)


def close(schedule: Discrete, alpha_bar, rtol=1e-11) -> None:
    assert schedule.alpha_bar[0] == 1
    np.testing.assert_allclose(schedule.alpha_bar[1:].numpy(), alpha_bar, rtol=rtol, atol=0)


def test_linear_is_the_original():
    close(linear(1000), np.cumprod(1 - np.linspace(1e-4, 0.02, 1000, dtype=np.float64)))


def test_linear_of_other_lengths_ends_as_noisy():
    """log ᾱ_T, about -Σ beta - Σ beta² / 2, is that of T = 1000 but for the second term, 0.067 · 1000 / T."""
    for T in [100, 250, 500, 2000, 4000]:
        close(linear(T), np.cumprod(1 - np.linspace(1e-4, 0.02, T) * 1000 / T))
        assert linear(T).alpha_bar[-1].log() == pytest.approx(
            float(linear().alpha_bar[-1].log()), abs=0.08 * abs(1000 / T - 1)
        )


def test_scaled_linear():
    close(scaled_linear(1000), np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2))
    assert scaled_linear(250).alpha_bar[-1].log() == pytest.approx(float(scaled_linear().alpha_bar[-1].log()), abs=0.1)


def test_cosine():
    for T in LENGTHS:

        def curve(u):
            return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

        close(cosine(T), from_curve(curve, T), rtol=1e-9)


@cases(("start", "end", "tau"), [(-3.0, 3.0, 1.0), (0.0, 3.0, 0.7)])
def test_sigmoid(start, end, tau):
    def logistic(x):
        return 1 / (1 + math.exp(-x / tau))

    def curve(u):
        return (logistic(end) - logistic(start + u * (end - start))) / (logistic(end) - logistic(start))

    close(sigmoid(300, start, end, tau), from_curve(curve, 300), rtol=1e-9)
    assert sigmoid(300, -3, 3).alpha_bar[150] == pytest.approx(0.5)


@cases("make", ALL)
def test_every_length_is_a_schedule(make):
    for T in LENGTHS:
        schedule = make(T)
        assert schedule.T == T
        assert schedule.level(0) == Level(-1.0, 1.0, 0.0)
        assert (schedule.alpha_bar.diff() < 0).all()
        assert schedule.alpha_bar[-1] > 0
        assert (schedule.alpha_bar[1:] / schedule.alpha_bar[:-1]).min() >= 0.001 * (1 - 1e-12)


@cases("make", ALL)
def test_levels_as_floats_and_as_tensors(make):
    """alpha = √ᾱ, sigma = √(1 - ᾱ); level i is fed to the network as i - 1."""
    schedule = make(20)
    indices = torch.tensor([1, 20, 7])
    many = schedule.levels(indices)
    assert all(v.dtype == torch.float64 and v.shape == (3,) for v in (many.t, many.alpha, many.sigma))
    for k, i in enumerate(indices.tolist()):
        one = schedule.level(i)
        assert (one.t, one.alpha, one.sigma) == (i - 1, float(many.alpha[k]), float(many.sigma[k]))
        assert all(isinstance(v, float) for v in (one.t, one.alpha, one.sigma))
        assert one.alpha**2 == pytest.approx(float(schedule.alpha_bar[i]), rel=1e-15)
        assert one.alpha**2 + one.sigma**2 == pytest.approx(1, rel=1e-15)


@cases("make", ALL)
def test_zero_terminal_snr(make):
    before = make(100)
    after = zero_terminal_snr(before)
    assert after.level(100) == Level(99.0, 0.0, 1.0)
    assert after.level(1).alpha == pytest.approx(before.level(1).alpha, rel=1e-15)
    # alg. 1 shifts and stretches alpha, not its square
    alpha = before.alpha_bar[1:].sqrt().numpy()
    expected = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
    np.testing.assert_allclose(after.alpha_bar[1:].sqrt().numpy(), expected, rtol=1e-14, atol=1e-16)


@cases("make", ALL)
def test_between_two_levels_the_angle_is_linear(make):
    schedule = make(20)
    for timestep in (1.25, 7.5, 19.999):
        level = schedule.level(timestep)
        below, above = schedule.level(math.floor(timestep)), schedule.level(math.ceil(timestep))
        low, high = math.atan2(below.sigma, below.alpha), math.atan2(above.sigma, above.alpha)
        angle = low + (timestep - math.floor(timestep)) * (high - low)
        assert (level.t, level.alpha, level.sigma) == pytest.approx(
            (timestep - 1, math.cos(angle), math.sin(angle)), rel=1e-14
        )
        assert all(isinstance(v, float) for v in (level.t, level.alpha, level.sigma))
    assert schedule.level(7.0) == schedule.level(7)


def test_places_of_a_batch_are_rounded_up():
    schedule = linear(10)
    timesteps = torch.tensor([0.0, 1e-9, 1.0, 1.1, 9.0, 9.5, 10.0], dtype=torch.float64)
    rounded, whole = schedule.levels(timesteps), schedule.levels(torch.tensor([0, 1, 1, 2, 9, 10, 10]))
    for ours, theirs in zip(
        (rounded.t, rounded.alpha, rounded.sigma), (whole.t, whole.alpha, whole.sigma), strict=True
    ):
        assert torch.equal(ours, theirs)


@cases("make", ALL)
def test_place_inverts_level(make):
    for T in [2, 7, 1000]:
        for terminal in [False, True]:
            schedule = zero_terminal_snr(make(T)) if terminal else make(T)
            timesteps = [*range(1, T + 1), *(1 + (T - 1) * k / 97 for k in range(98))]
            levels = [schedule.level(timestep) for timestep in timesteps]
            ratio = torch.tensor(
                [lev.sigma / lev.alpha if lev.alpha else math.inf for lev in levels], dtype=torch.float64
            )
            # angles near π / 2 are rounded by 2e-16, of which a timestep takes the share of its interval
            thinnest = np.diff([math.atan2(lev.sigma, lev.alpha) for lev in levels[:T]]).min()
            np.testing.assert_allclose(schedule.timestep(ratio).numpy(), timesteps, rtol=1e-15, atol=1e-15 / thinnest)


def test_no_place_beyond_the_ends():
    for T in [1, 10]:
        ratio = torch.tensor([0.0, 1e-9, 1e9, math.inf], dtype=torch.float64)
        assert linear(T).timestep(ratio).tolist() == [1, 1, T, T]


def test_nothing_between_clean_and_the_first_level():
    with pytest.raises(ValueError, match=r"timestep 0\.5 must"):
        linear(10).level(0.5)


def test_no_room_for_zero_terminal_snr():
    with pytest.raises(ValueError, match="two noisy levels"):
        zero_terminal_snr(linear(1))


@cases("make", ALL)
def test_no_levels(make):
    with pytest.raises(ValueError, match="T must be at least 1, not 0"):
        make(0)


@cases("i", [-1, 11, -0.5, 10.001, math.nan])
def test_no_such_level(i):
    with pytest.raises(ValueError, match="outside 0 … 10"):
        linear(10).level(i)


@cases(
    "alpha_bar",
    [
        torch.tensor([1.0, 0.5]),
        torch.ones(2, 2, dtype=torch.float64),
        torch.ones(1, dtype=torch.float64),
        torch.tensor([0.9, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 0.5, 0.5], dtype=torch.float64),
        torch.tensor([1.0, 0.5, -0.1], dtype=torch.float64),
        torch.tensor([1.0, float("nan")], dtype=torch.float64),
    ],
)
def test_not_a_schedule(alpha_bar):
    with pytest.raises(ValueError, match="alpha_bar must"):
        Discrete(alpha_bar)


def test_betas():
    schedule = from_betas(torch.tensor([0.1, 0.5, 1.0], dtype=torch.float64))
    torch.testing.assert_close(schedule.alpha_bar, torch.tensor([1, 0.9, 0.45, 0.0], dtype=torch.float64))
