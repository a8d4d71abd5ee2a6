"""Grids made for one model: the levels at which few steps stay closest to its many-step solution.

Dynamic programming over candidate levels finds the grid whose first-order steps leave the known paths the least in sum
(Chen et al. 2024, "GITS"). From there, and from grids that have names, the levels are moved, one at a time, as long as
the end of the actual solver comes closer to the end of the paths: what is the best untuned is seldom the best tuned.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Level
from ddpm.sampling.solver import Between

Solve = Callable[[Sequence[Level]], torch.Tensor]
"""A grid -> where the solver ends on it, (B, C, *space), from noise that is always the same."""


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Solutions at many levels.

    Attributes:
        levels: noisiest first, the last clean.
        x: (B, C, *space) at each of them.
        x0: what the denoiser expected at each noisy one.
    """

    levels: Sequence[Level]
    x: Sequence[torch.Tensor]
    x0: Sequence[torch.Tensor]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean square of each image's difference, averaged over the images: few that went elsewhere weigh little."""
    return float((a - b).flatten(1).square().mean(1).sqrt().mean())


def shortest(paths: Paths, steps: int) -> list[int]:
    """The indices of steps + 1 levels, both ends among them, between which first-order steps err the least in sum.

    A step from level i to j is ``x_j ≈ (sigma_j / sigma_i) x_i + (alpha_j - alpha_i sigma_j / sigma_i) x0_i``, which
    takes no network call that the paths have not made.

    Raises:
        ValueError: more steps than there are intervals.
    """
    last = len(paths.levels) - 1
    if not 1 <= steps <= last:
        raise ValueError(f"between 1 and {last} steps lead along {last + 1} levels, not {steps}")
    error = [[math.inf] * (last + 1) for _ in range(last)]
    for i in range(last):
        for j in range(i + 1, last + 1):
            now, next = paths.levels[i], paths.levels[j]
            kept = next.sigma / now.sigma
            reached = kept * paths.x[i] + (next.alpha - now.alpha * kept) * paths.x0[i]
            error[i][j] = distance(reached, paths.x[j])
    # cost[j]: of the best way from 0 to j in so many steps; before[k][j]: where it came from
    cost = [0.0] + [math.inf] * last
    before: list[list[int]] = []
    for _ in range(steps):
        ways = [min((cost[i] + error[i][j], i) for i in range(j)) for j in range(1, last + 1)]
        cost = [math.inf, *(total for total, _ in ways)]
        before.append([0, *(i for _, i in ways)])
    way = [last]
    for came_from in reversed(before):
        way.append(came_from[way[-1]])
    return way[::-1]


@dataclass(frozen=True, slots=True)
class Refinement:
    """How far a grid is moved.

    Attributes:
        first: of the interval to its neighbour, by which a level is moved at first, in logarithms of the ratio.
        halvings: how often that is halved.
        sweeps: over all levels, between two halvings, at the most.
    """

    first: float = 0.5
    halvings: int = 5
    sweeps: int = 4


def refined(
    solve: Solve,
    grid: Sequence[Level],
    end: torch.Tensor,
    between: Between,
    how: Refinement = Refinement(),
    progress: Callable[[float], None] | None = None,
) -> tuple[list[Level], float]:
    """A grid at least as good, and its distance from the end of the paths.

    Each inner level in turn is moved along log(sigma / alpha) towards either neighbour, and stays where that helped.
    The noisiest level and the clean one stay.

    Args:
        end: (B, C, *space), where the paths end.
        between: the process, for levels that are on no grid.
        progress: called with the distance after each sweep.
    """
    levels, least = list(grid), distance(solve(grid), end)
    share = how.first
    for _ in range(how.halvings + 1):
        for _ in range(how.sweeps):
            moved = False
            for k in range(1, len(levels) - 1):
                for towards in (-1, 1):
                    tried = _moved(levels, k, towards, share, between)
                    if tried is None:
                        continue
                    found = distance(solve(tried), end)
                    if found < least:
                        levels, least, moved = tried, found, True
                        break
            if progress is not None:
                progress(least)
            if not moved:
                break
        share /= 2
    return levels, least


class Way(NamedTuple):
    """A solver, and a grid to begin with."""

    name: str
    solve: Solve
    grid: Sequence[Level]


class Found(NamedTuple):
    """A way, its levels moved, and the distance from the end of the paths."""

    way: Way
    levels: list[Level]
    error: float


def best(
    ways: Sequence[Way],
    end: torch.Tensor,
    between: Between,
    how: Refinement = Refinement(),
    kept: int = 3,
    little: Refinement = Refinement(halvings=0, sweeps=1),
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Of several ways the one that is the best refined: all a little, then those that are the best by then.

    Args:
        how, kept: of those that are refined to the end, and how many they are.
        little: of all, at first.
        progress: called with (ways done, in all).
    """
    found: list[Found] = []
    total = len(ways) + min(kept, len(ways))
    for way in ways:
        found.append(Found(way, *refined(way.solve, way.grid, end, between, little)))
        if progress is not None:
            progress(len(found), total)
    first = sorted(found, key=lambda one: one.error)[:kept]
    for i, one in enumerate(first):
        first[i] = Found(one.way, *refined(one.way.solve, one.levels, end, between, how))
        if progress is not None:
            progress(len(ways) + i + 1, total)
    return min(first, key=lambda one: one.error)


def _moved(levels: list[Level], k: int, towards: int, share: float, between: Between) -> list[Level] | None:
    """The grid with level k moved so far towards a neighbour; None where it would not move, or not stay between."""
    here = _log_ratio(levels[k])
    other = _log_ratio(levels[k + towards])
    if math.isinf(other):  # next to only noise, or the clean level: as far as the other neighbour is
        gap = abs(here - _log_ratio(levels[k - towards]))
        other = here - towards * (gap if math.isfinite(gap) else 1.0)
    level = between(math.exp(here + share * (other - here)))
    now, next = _log_ratio(levels[k - 1]), _log_ratio(levels[k + 1])
    found = _log_ratio(level)
    if not next < found < now or found == here:
        return None
    return [*levels[:k], level, *levels[k + 1 :]]


def _log_ratio(level: Level) -> float:
    if level.clean:
        return -math.inf
    return math.log(level.sigma / level.alpha) if level.alpha else math.inf
