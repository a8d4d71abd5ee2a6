"""What the solvers of the probability flow share."""

import math

import pytest

from cases import cases
from ddpm.core import Level
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.schedule import level_of
from ddpm.sampling.flow import inner, part_way

CLEAN, NOISE = Level(0.0, 1.0, 0.0), Level(0.0, 0.0, 1.0)


@cases(
    ("now", "next", "expected"),
    [
        (Level(0.0, 0.6, 0.8), Level(0.0, 0.8, 0.6), True),
        (Level(0.0, 0.6, 0.8), CLEAN, False),
        (NOISE, Level(0.0, 0.8, 0.6), False),
        (Level(0.0, 1e-4, 1.0), Level(0.0, 0.8, 0.6), False),
    ],
)
def test_inner(now, next, expected):
    assert inner(now, next) is expected


@cases("part", [1 / 3, 1 / 2])
def test_part_of_the_way_in_log_snr(part):
    """On a schedule's own curve, between its ticks."""
    schedule = zero_terminal_snr(linear(50))
    now, next = schedule.level(40), schedule.level(20)
    level = part_way(lambda rho: level_of(schedule, rho), now, next, part)
    assert math.log(level.snr) == pytest.approx((1 - part) * math.log(now.snr) + part * math.log(next.snr), abs=1e-12)
    assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-14)
