"""Our grids visit the levels of diffusers' timesteps and sigmas, on the linear schedule of 1,000 levels.

Their sigma is our sigma / alpha. It comes from a float32 table of ᾱ, which near the image, where 1 - ᾱ is 1e-4, leaves
some 1e-4 of it.
"""

import math

import pytest
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from cases import cases
from ddpm import build
from ddpm.core.discrete import linear
from ddpm.sampling.grid import Karras, LogSNR, leading, trailing, uniform

LINEAR = linear(1000)
SCHEDULE = {"num_train_timesteps": 1000, "beta_start": 1e-4, "beta_end": 0.02, "beta_schedule": "linear"}
EVEN = [2, 3, 7, 20, 50]


def timesteps(levels) -> list[int]:
    """What the network is fed on ticks, in the order of sampling: all but the clean level."""
    return [int(level.t) for level in levels[:-1]]


def theirs(steps: int, spacing: str) -> list[int]:
    scheduler = DDIMScheduler(timestep_spacing=spacing, **SCHEDULE)
    scheduler.set_timesteps(steps)
    return scheduler.timesteps.tolist()


def test_uniform_is_linspace():
    for steps in [*range(2, 102), 250, 333, 500, 999, 1000]:
        assert timesteps(uniform(LINEAR, steps)) == theirs(steps, "linspace")


def test_trailing():
    for steps in [1, 2, 3, 7, 10, 16, 20, 25, 32, 50, 64, 80, 100, 128, 200, 250, 256, 500, 999, 1000]:
        assert timesteps(trailing(LINEAR, steps)) == theirs(steps, "trailing")


def test_leading_but_it_starts_at_the_noisiest():
    """Theirs starts below level T, with the noise of level T."""
    for steps in [2, 3, 7, 50, 100, 999, 1000]:
        ours = timesteps(leading(LINEAR, steps))
        assert ours[0] == 999
        assert ours[1:] == theirs(steps, "leading")[1:]


def euler(steps: int, **option: bool) -> EulerDiscreteScheduler:
    scheduler = EulerDiscreteScheduler(timestep_spacing="linspace", **SCHEDULE, **option)
    scheduler.set_timesteps(steps)
    return scheduler


@cases("steps", EVEN)
@cases(("name", "whole"), [("karras", Karras), ("exponential", LogSNR)])
def test_along_sigma(name, whole, steps):
    """The same sigmas, where ours are spread up to level T as theirs are, and the same timesteps but for where between
    two ticks a level is said to lie.

    They interpolate log(sigma / alpha) there, we the angle, so the two may differ by a small part of one tick.
    """
    scheduler = euler(steps, **{f"use_{name}_sigmas": True})
    ours = whole(sigma_max=math.inf)(LINEAR, steps)
    sigmas = [level.sigma / level.alpha for level in ours]
    assert sigmas == pytest.approx(scheduler.sigmas.tolist(), rel=1e-4)
    assert [level.t for level in ours[:-1]] == pytest.approx(scheduler.timesteps.tolist(), abs=0.06)


def test_beta_quantiles_are_theirs_but_of_places():
    """They take them of sigma over [its least, its most], we of timesteps over [1, T], as the paper does."""
    for steps in EVEN:
        *sigmas, _ = euler(steps, use_beta_sigmas=True).sigmas.tolist()
        part = [(sigma - sigmas[-1]) / (sigmas[0] - sigmas[-1]) for sigma in sigmas]
        assert [level.t / 999 for level in build.GRIDS["beta"](LINEAR, steps)[:-1]] == pytest.approx(part, abs=1e-7)
