"""Grids along the noise-to-signal ratio, by their formulas."""

import math
from itertools import product

import pytest

from cases import cases
from ddpm.core import Continuous, Level, Schedule
from ddpm.core.continuous import VE, VP, EDMProcess, Flow, SubVP
from ddpm.core.discrete import cosine, linear, scaled_linear, zero_terminal_snr
from ddpm.sampling.grid import Karras, LogSNR

SCHEDULES = {
    "linear": linear(1000),
    "scaled-linear": scaled_linear(300),
    "cosine": cosine(1000),
    "VP": Continuous(VP()),
    "sub-VP": Continuous(SubVP()),
    "VE": Continuous(VE()),
    "EDMProcess": Continuous(EDMProcess()),
}
STEPS = [2, 3, 7, 50]
CAPS = [80.0, 5.0, math.inf]


def ratios(levels: list[Level]) -> list[float]:
    """Of all but the clean one."""
    return [level.sigma / level.alpha if level.alpha else math.inf for level in levels[:-1]]


def spread(schedule: Schedule, steps: int, sigma_max: float, bend, unbend) -> list[float]:
    """Ratios evenly spread from sigma_max or the highest there is, the first of them that of level T."""
    last, first = (schedule.level(timestep).sigma / schedule.level(timestep).alpha for timestep in (schedule.T, 1))
    most, least = bend(min(last, sigma_max)), bend(first)
    return [last, *(unbend(most + (least - most) * k / (steps - 1)) for k in range(1, steps))]


@cases("schedule", SCHEDULES.values())
def test_log_snr_falls_by_equal_steps(schedule):
    for steps, sigma_max in product(STEPS, CAPS):
        expected = spread(schedule, steps, sigma_max, math.log, math.exp)
        assert ratios(LogSNR(sigma_max)(schedule, steps)) == pytest.approx(expected, rel=1e-9)


@cases("rho", [1.0, 3.0, 7.0])
@cases("schedule", SCHEDULES.values())
def test_karras(schedule, rho):
    """Karras et al. 2022, eq. 5, with sigma / alpha for their sigma."""
    for steps, sigma_max in product(STEPS, CAPS):
        expected = spread(schedule, steps, sigma_max, lambda r: r ** (1 / rho), lambda root: root**rho)
        assert ratios(Karras(rho, sigma_max)(schedule, steps)) == pytest.approx(expected, rel=1e-9)


@cases("make", [LogSNR(), Karras()])
def test_one_level_alone_is_noisier_than_80(make):
    """Where x0 is nothing but a mean, however far beyond a schedule goes; none where it ends before."""
    for schedule in (*SCHEDULES.values(), zero_terminal_snr(linear(1000)), Continuous(Flow(), 1000)):
        found = ratios(make(schedule, 20))
        last = schedule.level(schedule.T)
        assert sum(ratio > 80 for ratio in found) == (not last.alpha or last.sigma / last.alpha > 80 * (1 + 1e-9))


def test_no_room_for_a_spread():
    with pytest.raises(ValueError, match=r"sigma_max must be above 0\.01, the ratio of level 1, not 0\.005"):
        Karras(sigma_max=0.005)(linear(1000), 5)


def test_karras_on_edms_own_process_is_even():
    """Its axis is that grid."""
    schedule = Continuous(EDMProcess(), 1000)
    timesteps = [1000 - 999 * k / 8 for k in range(9)]
    for found, timestep in zip(Karras()(schedule, 9)[:-1], timesteps, strict=True):
        assert found.sigma == pytest.approx(schedule.level(timestep).sigma, rel=1e-9)


@cases("sigma_max", [80.0, math.inf])
@cases(
    ("schedule", "noisiest"),
    [
        (zero_terminal_snr(linear(1000)), 999),
        (Continuous(Flow(), 1000), 999),
        (Continuous(Flow(), 3), 2),
        (Continuous(Flow(), 2), 1.5),
        (zero_terminal_snr(linear(2)), 1.5),
    ],
)
@cases("make", [LogSNR, Karras])
def test_without_signal_at_the_noisiest_level(make, schedule, noisiest, sigma_max):
    """It is visited first; the others are spread as from the next one that has signal, or sigma_max."""
    bend, unbend = (math.log, math.exp) if make is LogSNR else (lambda r: r ** (1 / 7), lambda r: r**7)
    most, least = (schedule.level(p).sigma / schedule.level(p).alpha for p in (noisiest, 1))
    most, least = bend(min(most, sigma_max)), bend(least)
    first, *others = ratios(make(sigma_max=sigma_max)(schedule, 6))
    assert first == math.inf
    assert others == pytest.approx([unbend(most + (least - most) * k / 5) for k in range(1, 6)], rel=1e-9)


@cases("make", [LogSNR(), Karras()])
def test_the_network_is_fed_timesteps_between_the_ticks(make):
    """The level of a timestep between two is between theirs, and the last noisy one is level 1 to the last bit."""
    schedule = linear(1000)
    levels = make(schedule, 20)
    assert levels[-2] == schedule.level(1)
    inner = levels[1:-2]
    assert all(level.t != int(level.t) for level in inner)
    for level in inner:
        below, above = schedule.level(int(level.t) + 1), schedule.level(int(level.t) + 2)
        assert below.sigma < level.sigma < above.sigma
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-14)
