"""Every grid starts at the noisiest level, falls in noise with every step, and ends clean, on every schedule."""

import math
from itertools import pairwise
from typing import get_args

import pytest

from cases import cases
from ddpm import build
from ddpm.core import Schedule
from ddpm.core.discrete import cosine, linear, zero_terminal_snr
from ddpm.core.level import noise_to_signal
from ddpm.sampling import sample
from ddpm.sampling.dpm_multistep import DPMMultistep
from ddpm.sampling.grid import Karras, LogSNR
from ddpm.sampling.heun import Heun
from ddpm.system.names import TickGridName

from .convergence import MIXTURE, normal
from .every import GRIDS

ZERO_TERMINAL = "zero terminal"
SCHEDULES = build.SCHEDULES | {ZERO_TERMINAL: lambda T: zero_terminal_snr(linear(T))}
PROCESSES = [(name, T) for name in SCHEDULES for T in (1, 2, 3, 50, 1000) if T > 1 or name != ZERO_TERMINAL]
ON_TICKS = get_args(TickGridName)


def lengths(name: str, schedule: Schedule) -> list[int]:
    """Of 1, 2, 7, 50 and T steps those that there are timesteps for."""
    most = schedule.T if name in ON_TICKS or schedule.T == 1 else math.inf
    return [steps for steps in (1, 2, 7, 50, schedule.T) if steps <= most]


@pytest.mark.parametrize("grid", GRIDS)
def test_from_the_noisiest_down_to_clean(grid):
    for schedule, T in PROCESSES:
        made = SCHEDULES[schedule](T)
        for steps in lengths(grid, made):
            levels = GRIDS[grid](made, steps)
            assert len(levels) == steps + 1
            assert levels[0] == made.level(T)
            assert levels[-1] == made.level(0)
            assert all(noise_to_signal(now) > noise_to_signal(next) for now, next in pairwise(levels))
            assert all(now.sigma > next.sigma for now, next in pairwise(levels))
            assert all(now.alpha <= next.alpha for now, next in pairwise(levels))


@cases("grid", GRIDS)
def test_no_steps(grid):
    for T in (1, 10):
        for steps in (0, -3):
            with pytest.raises(ValueError, match=rf"steps must be (at least|between) 1.*, not {steps}$"):
                GRIDS[grid](linear(T), steps)


@cases("grid", GRIDS)
def test_one_noisy_level_is_one_step(grid):
    for make in build.SCHEDULES.values():
        with pytest.raises(ValueError, match=r"^steps must be .*1, .*not 7$"):
            GRIDS[grid](make(1), 7)


@cases("grid", [name for name in GRIDS if name not in ON_TICKS])
def test_off_the_ticks_any_number_of_steps(grid):
    for T in (2, 20):
        for make in SCHEDULES.values():
            levels = GRIDS[grid](make(T), 200)
            assert all(now.sigma > next.sigma for now, next in pairwise(levels))


def test_names_of_grids_on_ticks():
    """These and no others lie on whole timesteps."""
    schedule = linear(1000)
    whole = [name for name, grid in build.GRIDS.items() if all(level.t == int(level.t) for level in grid(schedule, 9))]
    assert set(whole) == set(ON_TICKS)


@cases("make", [LogSNR, Karras])
def test_levels_of_nothing_but_noise_are_wasted(make):
    """On the cosine schedule, whose ratios go up to 20,291, a spread over all of them doubles the error and more."""
    schedule = cosine(1000)
    exact = sample(MIXTURE, Heun(), LogSNR(math.inf)(schedule, 1000), normal)
    capped, whole = (
        float((sample(MIXTURE, DPMMultistep(2), make(sigma_max=top)(schedule, 20), normal) - exact).square().mean())
        for top in (80.0, math.inf)
    )
    assert capped < whole / 4
