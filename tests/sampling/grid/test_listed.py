"""Timesteps that are given."""

import math

import pytest

from cases import cases
from ddpm.config.grid import listing
from ddpm.config.grid import timesteps as parse
from ddpm.core import Continuous
from ddpm.core.continuous import Flow
from ddpm.core.discrete import linear
from ddpm.sampling.grid import Listed


@cases("schedule", [linear(1000), Continuous(Flow(), 1000)])
def test_the_levels_are_those_and_clean(schedule):
    for timesteps in [(1000, 700, 400, 100), (812.5, 3.25), (1,), (1000,)]:
        assert Listed(timesteps)(schedule, len(timesteps)) == [*map(schedule.level, timesteps), schedule.level(0)]


@cases(
    ("timesteps", "said"),
    [
        ((), "None"),
        ((700, 700), "700,700"),
        ((400, 700), "400,700"),
        ((700, 0), "700,0"),
        ((3, 0.5), "3,0.5"),
        ((math.nan, 5), "nan,5"),
        ((math.nan,), "nan"),
        ((5, math.nan), "5,nan"),
    ],
)
def test_places_that_do_not_fall_to_1(timesteps, said):
    with pytest.raises(ValueError, match="timesteps"):
        Listed(timesteps)
    with pytest.raises(ValueError, match=rf"timesteps .*, not {said}$"):
        parse(timesteps)


@cases("first", [1000.5, 1200, math.inf])
def test_places_beyond_the_schedule(first):
    with pytest.raises(ValueError, match=f"timestep 1000 .*, not {first}"):
        Listed((first, 3))(linear(1000), 2)


def test_another_number_of_steps():
    with pytest.raises(ValueError, match=r"steps must be 2, .*, not 3"):
        Listed((7, 3))(linear(10), 3)


def test_a_listing_is_as_it_is_typed():
    assert listing((1000.0, 700, 99.5, 1 / 3)) == f"1000,700,99.5,{1 / 3!r}"
