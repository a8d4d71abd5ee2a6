"""Grids on ticks: timesteps rounded and kept distinct."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import cases
from ddpm.core.discrete import cosine, linear
from ddpm.sampling.grid import Power, leading, quadratic, trailing, uniform

GRIDS = [uniform, leading, trailing, quadratic, Power()]
LINEAR = linear(1000)
ts = st.integers(1, 60)


def timesteps(grid) -> list[int]:
    """What the network is fed, in the order of sampling: all but the clean level."""
    return [int(level.t) for level in grid[:-1]]


@cases("grid", GRIDS)
def test_every_level_is_of_the_table(grid):
    for steps in [1, 2, 3, 7, 50, 999, 1000]:
        assert all(level == LINEAR.level(int(level.t) + 1) for level in grid(LINEAR, steps))


@given(T=ts, part=st.floats(0, 1))
@pytest.mark.parametrize("grid", GRIDS)
def test_any_length_of_schedule(grid, T, part):
    steps = max(1, round(part * T))
    visited = [int(level.t) for level in grid(cosine(T), steps)]
    assert visited[0] == T - 1
    assert visited[-1] == -1
    assert len(visited) == steps + 1
    assert all(a > b for a, b in pairwise(visited))


def space_timesteps(T: int, steps: int) -> list[int]:
    """improved-diffusion's, for one section."""
    if steps == 1:
        return [0]
    stride, timestep, taken = (T - 1) / (steps - 1), 0.0, []
    for _ in range(steps):
        taken.append(round(timestep))
        timestep += stride
    return taken


def test_uniform_is_that_of_improved_diffusion():
    """But for ties, such as level 499.5 of 999 steps, that its running sum misses by its rounding."""
    for steps in [2, 3, 5, 7, 10, 20, 25, 30, 40, 50, 100, 200, 250, 500, 999, 1000]:
        ours, theirs = timesteps(uniform(LINEAR, steps))[::-1], space_timesteps(1000, steps)
        assert [i for i in range(steps) if ours[i] != theirs[i]] == ([499] if steps == 999 else [])


def test_quadratic():
    """Song et al.'s tau_i = c i²; small steps near the image."""
    assert timesteps(quadratic(LINEAR, 10)) == [999, 809, 639, 489, 359, 249, 159, 89, 39, 9]
    indices = np.array([*timesteps(quadratic(LINEAR, 50)), -1]) + 1
    assert np.abs(np.sqrt(indices / 1000) - np.arange(50, -1, -1) / 50).max() < 0.02


def test_power():
    """Halfway between its neighbours in the exponent."""
    assert timesteps(Power()(LINEAR, 10)) == [999, 853, 715, 585, 464, 353, 252, 163, 88, 31]
    for steps in (2, 7, 50, 200):
        assert Power(1.0)(LINEAR, steps) == trailing(LINEAR, steps)
        assert Power(2.0)(LINEAR, steps) == quadratic(LINEAR, steps)


@cases("exponent", [0.9, float("inf"), float("nan")])
def test_exponent_out_of_range(exponent):
    with pytest.raises(ValueError, match="exponent must be at least 1"):
        Power(exponent)


@cases("grid", GRIDS)
def test_steps_that_do_not_fit(grid):
    for steps in [-1, 0, 11]:
        with pytest.raises(ValueError, match=f"between 1 and 10, .*, not {steps}"):
            grid(linear(10), steps)
