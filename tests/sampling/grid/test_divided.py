import math
from itertools import pairwise

import pytest

from ddpm.sampling.grid import divided


def test_a_single_step_is_divided_into_chebyshevs_nodes() -> None:
    found = divided([1000.0], 6)
    assert found == pytest.approx([500 * (1 + math.cos(math.pi * k / 6)) for k in range(6)])
    assert found[0] == 1000.0


def test_it_keeps_the_given_timesteps_and_divides_between() -> None:
    given = [900.0, 650.3, 123.4, 7.0]
    found = divided(given, 15)
    assert set(given) <= set(found)
    assert found == sorted({*found}, reverse=True)
    # in the order of the shares of the angle: 0.355, 0.405, 0.185 and 0.056 of 15 steps
    assert [found.index(timestep) for timestep in given] == [0, 5, 11, 14]
    angles = [math.asin(math.sqrt(timestep / 900)) for timestep in found[5:12]]
    assert all(a - b == pytest.approx((angles[0] - angles[6]) / 6) for a, b in pairwise(angles))


def test_none_are_below_the_first_tick() -> None:
    assert divided([1.0], 10) == [1.0]
    assert min(divided([8.0, 1.5], 40)) >= 1


def test_no_step_is_left_out() -> None:
    assert divided([40.0, 39.0, 2.0], 1) == [40.0, 39.0, 2.0]
