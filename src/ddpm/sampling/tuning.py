"""Grids made for one model: the levels at which few steps stay closest to its many-step solution.

What is the best untuned is seldom the best tuned. So many ways, a solver and a grid to begin with each, have their
levels moved a little on few images, the better of them further on more, and the best as far as it is worth on all: by
successive halving (Jamieson & Talwalkar 2016).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from ddpm.core import Level
from ddpm.sampling.branching import Branching, Solved
from ddpm.sampling.exponential import half_log_snr
from ddpm.sampling.shortest import distance
from ddpm.sampling.solver import Between

CLOSEST = 0.02
"""Between two levels, in lambda: nearer ones differ by rounding."""


class Way(NamedTuple):
    """A solver, and a grid to begin with.

    Attributes:
        solver: its name …
        start: and the grid's.
        solve: the solver on the first so many images.
    """

    solver: str
    start: str
    solve: Callable[[int], Branching]
    grid: Sequence[Level]


class Found(NamedTuple):
    """A way with its levels moved.

    Attributes:
        reach: of each inner level, how far it is moved at first, as a share of the interval to its neighbour.
        error: distance of where it ends from where it should.
    """

    way: Way
    grid: Sequence[Level]
    reach: Sequence[float]
    error: float


class Round(NamedTuple):
    """How far the ways that are left are taken.

    Attributes:
        share: of the images.
        ways: that take part, the best of those before.
        sweeps: over their levels.
    """

    share: float
    ways: int
    sweeps: int


SCREENED = 1 / 4
"""Of the images, on which every way is tried as it is."""
EACH = 2
"""Ways of each solver that are taken further than that."""
ROUNDS = (Round(1 / 4, 14, 2), Round(1 / 2, 4, 1), Round(1, 2, 2))
FIRST = 0.4
FURTHEST = 0.6
"""Of an interval, by which levels are moved."""


def screened(ways: Sequence[Way], end: torch.Tensor) -> list[Way]:
    """The most promising first, as they are, on few images."""
    n = _part(SCREENED, len(end))
    return sorted(ways, key=lambda way: distance(way.solve(n)(way.grid).end, end[:n]))


def best(ways: Sequence[Way], end: torch.Tensor, between: Between, rounds: Sequence[Round] = ROUNDS) -> Found:
    """Of several ways the one that ends the nearest once its levels are moved, by :func:`screened`'s order at first.

    It ends no farther than the last round's ways did before they were moved.

    Args:
        end: (B, C, *space), where they should.
        between: the process, for levels that are on no grid.
    """
    first: list[Way] = []
    for way in ways:
        if [other.solver for other in first].count(way.solver) < EACH:
            first.append(way)
    found = [Found(way, way.grid, [FIRST] * (len(way.grid) - 2), math.inf) for way in first]
    for turn in rounds:
        n = _part(turn.share, len(end))
        found = [_taken(one, n, end[:n], between, turn.sweeps) for one in found[: turn.ways]]
        found.sort(key=lambda one: one.error)
    return found[0]


def most_calls(solvers: int, grids: int, steps: int, images: int, rounds: Sequence[Round] = ROUNDS) -> int:
    """Of how many images :func:`screened` and :func:`best` ask the denoiser, at the most."""
    total = _part(SCREENED, images) * solvers * grids * (steps - 1)
    a_sweep = 3 * steps * (steps - 1) // 2  # three tries a level, the one after k of n calls asks n - k
    ways = solvers * min(grids, EACH)
    for turn in rounds:
        ways = min(ways, turn.ways)
        total += _part(turn.share, images) * ways * (2 * (steps - 1) + turn.sweeps * a_sweep)
    return total


def _part(share: float, images: int) -> int:
    return max(1, round(share * images))


def _taken(found: Found, images: int, end: torch.Tensor, between: Between, sweeps: int) -> Found:
    """Through a round, from where it is, or from where it began should that be nearer on these images."""
    solve = found.way.solve(images)
    at = _Point.of(solve(found.grid), end)
    reach = list(found.reach)
    if found.grid != found.way.grid:
        began = _Point.of(solve(found.way.grid), end)
        if began.error < at.error:
            at, reach = began, [FIRST] * len(reach)
    for _ in range(sweeps):
        for k in range(len(found.grid) - 2, 0, -1):
            at, reach[k - 1] = _moved(solve, at, k, reach[k - 1], end, between)
    return Found(found.way, at.solved.grid, reach, at.error)


class _Point(NamedTuple):
    error: float
    solved: Solved

    @classmethod
    def of(cls, solved: Solved, end: torch.Tensor) -> "_Point":
        return cls(distance(solved.end, end), solved)


def _moved(
    solve: Branching, at: _Point, k: int, reach: float, end: torch.Tensor, between: Between
) -> tuple[_Point, float]:
    """Level k where it is, to either side of that, or at the vertex of the parabola through the three: the nearest end,
    and how far to reach from there.
    """
    grid = at.solved.grid
    before, here, after = (half_log_snr(grid[i]) for i in (k - 1, k, k + 1))
    rooms = [here - before, after - here]
    # next to only noise, or to the clean level: as far as the other neighbour is
    finite = [room for room in rooms if math.isfinite(room)] or [1.0]
    left, right = (room if math.isfinite(room) else finite[0] for room in rooms)
    tried = {here: at}

    def attempt(wanted: float) -> None:
        level = between(math.exp(-wanted))
        found = half_log_snr(level)  # the process may end before
        if before + CLOSEST < found < after - CLOSEST and found not in tried:
            tried[found] = _Point.of(solve([*grid[:k], level, *grid[k + 1 :]], at.solved), end)

    attempt(here - reach * left)
    attempt(here + reach * right)
    if len(tried) == 3:
        vertex = _vertex(*sorted((place, point.error) for place, point in tried.items()))
        # two reaches away a parabola is a guess
        far = min(2 * reach, 0.8)
        if vertex is not None:
            attempt(min(max(vertex, here - far * left), here + far * right))
    place = min(tried, key=lambda place: tried[place].error)
    if place == here:
        return at, reach / 3
    moved = (place - here) / right if place > here else (here - place) / left
    return tried[place], min(FURTHEST, max(moved, reach / 2))


def _vertex(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float | None:
    """Where the parabola through three points is the lowest; None if it opens downwards."""
    (xa, fa), (xb, fb), (xc, fc) = a, b, c
    left, right = (fb - fa) / (xb - xa), (fc - fb) / (xc - xb)
    if right <= left:
        return None
    return (xa + xb) / 2 - left * (xc - xa) / (2 * (right - left))
