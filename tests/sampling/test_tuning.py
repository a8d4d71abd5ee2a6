"""Grids made for a model: the best way by every way, and never further from the end than before."""

import math
from itertools import combinations, pairwise

import pytest
import torch

from ddpm.core import Denoised, Level
from ddpm.core.discrete import linear, zero_terminal_snr
from ddpm.core.schedule import level_of
from ddpm.sampling import DDIM, sample
from ddpm.sampling.grid import trailing
from ddpm.sampling.loop import steps
from ddpm.sampling.tuning import Paths, Refinement, Way, best, distance, refined, shortest

SCHEDULE = linear(1000)
NOISE = torch.randn(40, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def two_points(x: torch.Tensor, level: Level, cond: object = None) -> Denoised:
    """What is expected of data that is 0.7 or -0.4 in every element, as likely the one as the other."""
    a, b = 0.7, -0.4
    odds = level.alpha * ((a - b) * x - level.alpha * (a**2 - b**2) / 2) / level.sigma**2
    return Denoised(b + (a - b) * torch.sigmoid(odds))


def paths(levels: list[Level]) -> Paths:
    """Solutions on many levels by steps between them."""
    x, x0 = [levels[0].sigma * NOISE], []
    for step in steps(two_points, DDIM(), levels, x[0], lambda: NOISE):
        x0.append(two_points(x[-1], levels[step.number - 1]).x0)
        x.append(step.x)
    return Paths(levels, x, x0)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 8])
def test_the_shortest_way_is_the_best_of_all(steps):
    known = paths(trailing(SCHEDULE, 8))

    def cost(way):
        total = 0.0
        for i, j in pairwise(way):
            a, b = known.levels[i], known.levels[j]
            eps = (known.x[i] - a.alpha * known.x0[i]) / a.sigma
            total += distance(b.alpha * known.x0[i] + b.sigma * eps, known.x[j])
        return total

    found = shortest(known, steps)
    assert len(found) == steps + 1
    ways = [(0, *inner, 8) for inner in combinations(range(1, 8), steps - 1)]
    assert cost(found) == pytest.approx(min(map(cost, ways)), abs=1e-12)


@pytest.mark.parametrize("steps", [0, 9])
def test_more_steps_than_levels(steps):
    with pytest.raises(ValueError, match=f"between 1 and 8 steps lead along 9 levels, not {steps}"):
        shortest(paths(trailing(SCHEDULE, 8)), steps)


@pytest.mark.parametrize("schedule", [SCHEDULE, zero_terminal_snr(linear(1000))], ids=["linear", "zero-terminal"])
def test_a_refined_grid_ends_nearer(schedule):
    def solve(grid):
        return sample(two_points, DDIM(), grid, lambda: NOISE)

    end = solve(trailing(schedule, 500))
    grid = trailing(schedule, 6)
    seen: list[float] = []
    found, left = refined(solve, grid, end, lambda ratio: level_of(schedule, ratio), progress=seen.append)
    before = distance(solve(grid), end)
    assert left == distance(solve(found), end)
    assert left < 0.6 * before
    assert seen == sorted(seen, reverse=True)
    assert (len(found), found[0], found[-1]) == (7, grid[0], grid[-1])
    ratio = [level.sigma / level.alpha if level.alpha else math.inf for level in found]
    assert all(a > b for a, b in pairwise(ratio))


def test_nothing_to_refine():
    grid = trailing(SCHEDULE, 1)
    found, left = refined(lambda levels: NOISE, grid, NOISE, lambda ratio: level_of(SCHEDULE, ratio), Refinement())
    assert (found, left) == (grid, 0.0)


def test_the_distance_is_of_each_image():
    a, b = torch.zeros(2, 1, 4), torch.zeros(2, 1, 4)
    a[0] = 3.0
    assert distance(a, b) == 1.5


def test_the_best_way_need_not_be_the_best_at_first():
    """One way ends near and cannot be moved, one far but can be."""
    grids = {name: trailing(SCHEDULE, 4) for name in ("stiff", "good", "bad")}
    end = sample(two_points, DDIM(), trailing(SCHEDULE, 500), lambda: NOISE)

    def solve(grid):
        return sample(two_points, DDIM(), grid, lambda: NOISE)

    before = distance(solve(grids["good"]), end)
    near = end + 0.9 * before
    ways = [
        Way("stiff", lambda grid: near, grids["stiff"]),
        Way("good", solve, grids["good"]),
        Way("bad", lambda grid: end + 5, grids["bad"]),
    ]
    seen = []
    found = best(ways, end, lambda ratio: level_of(SCHEDULE, ratio), kept=2, progress=lambda *at: seen.append(at))
    assert found.way.name == "good"
    assert found.error == distance(solve(found.levels), end) < 0.9 * before
    assert seen == [(i, 5) for i in range(1, 6)]
