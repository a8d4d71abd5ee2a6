"""Grids along the noise-to-signal ratio, by their formulas."""

import math

import pytest

from ddpm.core import Continuous, Level
from ddpm.core.continuous import VE, VP, EDMProcess, Flow, SubVP
from ddpm.core.discrete import cosine, linear, scaled_linear, zero_terminal_snr
from ddpm.sampling.grid import Karras, log_snr

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


def ratios(levels: list[Level]) -> list[float]:
    """Of all but the clean one."""
    return [level.sigma / level.alpha if level.alpha else math.inf for level in levels[:-1]]


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_log_snr_falls_by_equal_steps(schedule):
    for steps in STEPS:
        found = [math.log(level.snr) for level in log_snr(schedule, steps)[:-1]]
        low, high = (math.log(schedule.level(place).snr) for place in (schedule.T, 1))
        expected = [low + (high - low) * k / (steps - 1) for k in range(steps)]
        assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_karras(schedule):
    """Karras et al. 2022, eq. 5, with sigma / alpha for their sigma."""
    for steps in STEPS:
        for rho in [1.0, 3.0, 7.0]:
            most, least = (schedule.level(place).sigma / schedule.level(place).alpha for place in (schedule.T, 1))
            root = [
                most ** (1 / rho) + k / (steps - 1) * (least ** (1 / rho) - most ** (1 / rho)) for k in range(steps)
            ]
            assert ratios(Karras(rho)(schedule, steps)) == pytest.approx([r**rho for r in root], rel=1e-9)


def test_karras_on_edms_own_process_is_even():
    """Its axis is that grid."""
    schedule = Continuous(EDMProcess(), 1000)
    places = [1000 - 999 * k / 8 for k in range(9)]
    for found, place in zip(Karras()(schedule, 9)[:-1], places, strict=True):
        assert found.sigma == pytest.approx(schedule.level(place).sigma, rel=1e-9)


@pytest.mark.parametrize("make", [log_snr, Karras()], ids=["log-snr", "karras"])
def test_without_signal_at_the_noisiest_level(make):
    """It is visited first; the others are spread as from the next one that has signal."""
    for schedule, noisiest in [
        (zero_terminal_snr(linear(1000)), 999),
        (Continuous(Flow(), 1000), 999),
        (Continuous(Flow(), 3), 2),
        (Continuous(Flow(), 2), 1.5),
        (zero_terminal_snr(linear(2)), 1.5),
    ]:
        bend, unbend = (math.log, math.exp) if make is log_snr else (lambda r: r ** (1 / 7), lambda r: r**7)
        most, least = (bend(schedule.level(p).sigma / schedule.level(p).alpha) for p in (noisiest, 1))
        first, *others = ratios(make(schedule, 6))
        assert first == math.inf
        assert others == pytest.approx([unbend(most + (least - most) * k / 5) for k in range(1, 6)], rel=1e-9)


@pytest.mark.parametrize("make", [log_snr, Karras()], ids=["log-snr", "karras"])
def test_the_network_is_fed_places_between_the_ticks(make):
    """The level of a place between two is between theirs, and the last noisy one is level 1 to the last bit."""
    schedule = linear(1000)
    levels = make(schedule, 20)
    assert levels[-2] == schedule.level(1)
    inner = levels[1:-2]
    assert all(level.t != int(level.t) for level in inner)
    for level in inner:
        below, above = schedule.level(int(level.t) + 1), schedule.level(int(level.t) + 2)
        assert below.sigma < level.sigma < above.sigma
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-14)
