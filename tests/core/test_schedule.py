"""What holds for every kind of schedule."""

import math
from itertools import pairwise

import pytest

from cases import cases
from ddpm import build
from ddpm.core import discrete
from ddpm.core.schedule import level_of, timestep_of


@cases("name", build.SCHEDULES)
def test_each_tick_is_where_its_level_is(name):
    """Every noisy one has noise, more than the last, and its ratio leads back to it."""
    for T in [1, 2, 50]:
        schedule = build.SCHEDULES[name](T)
        assert schedule.T == T
        levels = [schedule.level(timestep) for timestep in range(T + 1)]
        assert levels[0].clean
        assert all(s.sigma * t.alpha < t.sigma * s.alpha for s, t in pairwise(levels))
        # angles near π / 2, of which steep betas make many at T = 50, are rounded by more of their intervals
        assert [timestep_of(schedule, level) for level in levels] == pytest.approx(list(range(T + 1)), rel=1e-9)


def test_the_place_of_a_level_without_signal():
    schedule = discrete.zero_terminal_snr(discrete.linear(20))
    assert timestep_of(schedule, schedule.level(20)) == 20


@cases("name", build.SCHEDULES)
def test_the_level_of_a_ratio(name):
    made = build.SCHEDULES[name](50)
    for timestep in (1.0, 7.3, 49.5):
        level = made.level(timestep)
        found = level_of(made, level.sigma / level.alpha)
        assert (found.t, found.alpha, found.sigma) == pytest.approx((level.t, level.alpha, level.sigma), rel=1e-9)
    assert level_of(made, 0.0) == made.level(1)
    assert level_of(made, math.inf) == made.level(50)
