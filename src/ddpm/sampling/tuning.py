"""Tune grids for one model: the levels at which few steps stay closest to its many-step solution.

The best candidate before tuning is rarely the best after it. So several candidates, each a solver and an initial grid,
are tuned a little on few images, the better ones further on more, and the best one on all: successive halving
(Jamieson & Talwalkar 2016).
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
"""The least distance of two levels in lambda: closer ones differ only by rounding."""


class Candidate(NamedTuple):
    """A candidate: a solver and an initial grid.

    Attributes:
        solver: the name of the solver.
        start: the name of the grid.
        solve: number of images -> the solver on the first ones.
    """

    solver: str
    start: str
    solve: Callable[[int], Branching]
    grid: Sequence[Level]


class TunedCandidate(NamedTuple):
    """A candidate with tuned levels.

    Attributes:
        reach: the initial move of each inner level, as a fraction of the interval to its neighbour.
        error: the distance of its result from the target.
    """

    candidate: Candidate
    grid: Sequence[Level]
    reach: Sequence[float]
    error: float


class Round(NamedTuple):
    """A round of successive halving.

    Attributes:
        share: the fraction of the images to use.
        candidates: the number of candidates, the best of the previous round.
        sweeps: the number of sweeps over their levels.
    """

    share: float
    candidates: int
    sweeps: int


SCREENED = 1 / 4
"""The fraction of the images on which every candidate is first tried untuned."""
EACH = 2
"""The number of candidates of each solver that are kept after that."""
ROUNDS = (Round(1 / 4, 14, 2), Round(1 / 2, 4, 1), Round(1, 2, 2))
FIRST = 0.4
FURTHEST = 0.6
"""The initial move of a level, as a fraction of an interval."""


def screened(candidates: Sequence[Candidate], end: torch.Tensor) -> list[Candidate]:
    """Rank the candidates, untuned, on few images, the most promising first."""
    n = _part(SCREENED, len(end))
    return sorted(candidates, key=lambda one: distance(one.solve(n)(one.grid).end, end[:n]))


def best(
    candidates: Sequence[Candidate], end: torch.Tensor, between: Between, rounds: Sequence[Round] = ROUNDS
) -> TunedCandidate:
    """Tune candidates in the order of :func:`screened` and return the one that ends closest to the target.

    Its error is at most that of the last round's candidates before that round.

    Args:
        end: (B, C, *space), the target.
        between: the process, for levels between those of a grid.
    """
    first: list[Candidate] = []
    for candidate in candidates:
        if [other.solver for other in first].count(candidate.solver) < EACH:
            first.append(candidate)
    found = [TunedCandidate(one, one.grid, [FIRST] * (len(one.grid) - 2), math.inf) for one in first]
    for turn in rounds:
        n = _part(turn.share, len(end))
        found = [_tune(one, n, end[:n], between, turn.sweeps) for one in found[: turn.candidates]]
        found.sort(key=lambda one: one.error)
    return found[0]


def most_calls(solvers: int, grids: int, steps: int, images: int, rounds: Sequence[Round] = ROUNDS) -> int:
    """Return the maximum number of images on which :func:`screened` and :func:`best` call the denoiser."""
    total = _part(SCREENED, images) * solvers * grids * (steps - 1)
    a_sweep = 3 * steps * (steps - 1) // 2  # three tries a level; one after k of n calls takes n - k
    candidates = solvers * min(grids, EACH)
    for turn in rounds:
        candidates = min(candidates, turn.candidates)
        total += _part(turn.share, images) * candidates * (2 * (steps - 1) + turn.sweeps * a_sweep)
    return total


def _part(share: float, images: int) -> int:
    return max(1, round(share * images))


def _tune(found: TunedCandidate, images: int, end: torch.Tensor, between: Between, sweeps: int) -> TunedCandidate:
    """Run a round on a candidate, from its current grid or its initial one, whichever is closer on these images."""
    solve = found.candidate.solve(images)
    at = _Point.of(solve(found.grid), end)
    reach = list(found.reach)
    if found.grid != found.candidate.grid:
        began = _Point.of(solve(found.candidate.grid), end)
        if began.error < at.error:
            at, reach = began, [FIRST] * len(reach)
    for _ in range(sweeps):
        for k in range(len(found.grid) - 2, 0, -1):
            at, reach[k - 1] = _move_level(solve, at, k, reach[k - 1], end, between)
    return TunedCandidate(found.candidate, at.solved.grid, reach, at.error)


class _Point(NamedTuple):
    error: float
    solved: Solved

    @classmethod
    def of(cls, solved: Solved, end: torch.Tensor) -> "_Point":
        return cls(distance(solved.end, end), solved)


def _move_level(
    solve: Branching, at: _Point, k: int, reach: float, end: torch.Tensor, between: Between
) -> tuple[_Point, float]:
    """Level k where it is, to either side of that, or at the vertex of the parabola through the three: the nearest end,
    and how far to reach from there.
    """
    grid = at.solved.grid
    before, here, after = (half_log_snr(grid[i]) for i in (k - 1, k, k + 1))
    rooms = [here - before, after - here]
    # next to pure noise or the clean level: the distance of the other neighbour
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
        # beyond two reaches, a parabola is a guess
        far = min(2 * reach, 0.8)
        if vertex is not None:
            attempt(min(max(vertex, here - far * left), here + far * right))
    place = min(tried, key=lambda place: tried[place].error)
    if place == here:
        return at, reach / 3
    moved = (place - here) / right if place > here else (here - place) / left
    return tried[place], min(FURTHEST, max(moved, reach / 2))


def _vertex(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float | None:
    """Return the minimum of the parabola through three points; None if it opens downwards."""
    (xa, fa), (xb, fb), (xc, fc) = a, b, c
    left, right = (fb - fa) / (xb - xa), (fc - fb) / (xc - xb)
    if right <= left:
        return None
    return (xa + xb) / 2 - left * (xc - xa) / (2 * (right - left))
