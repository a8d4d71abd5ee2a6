"""The shortest way along known paths."""

from itertools import combinations, pairwise

import pytest
import torch

from cases import cases
from ddpm.core import Denoised, Level
from ddpm.core.discrete import linear
from ddpm.sampling import DDIM
from ddpm.sampling.grid import trailing
from ddpm.sampling.loop import steps
from ddpm.sampling.shortest import Paths, distance, shortest

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


@cases("steps", [1, 2, 3, 7, 8])
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


@cases("steps", [0, 9])
def test_more_steps_than_levels(steps):
    with pytest.raises(ValueError, match=f"between 1 and 8 .*, not {steps}"):
        shortest(paths(trailing(SCHEDULE, 8)), steps)


def test_the_distance_is_of_each_image():
    a, b = torch.zeros(2, 1, 4), torch.zeros(2, 1, 4)
    a[0] = 3.0
    assert distance(a, b) == 1.5
