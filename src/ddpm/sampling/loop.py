"""The one sampling loop."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from ddpm.core import Cond, Denoiser, Level
from ddpm.core.gaussian import transition
from ddpm.core.level import weighted_sum
from ddpm.sampling.solver import Randn, Solver

Constraint = Callable[[torch.Tensor, Level, Randn], torch.Tensor]
"""(x, level, randn) -> x (B, C, *space), made to be what is known of it at a level."""


class Step(NamedTuple):
    """Where sampling stands.

    Attributes:
        number: steps taken so far, from 1. A rise of the grid is none.
        level: the level that x is at now.
        x: (B, C, *space).
        state: the solver's, such as how often an adaptive one has asked so far.
    """

    number: int
    level: Level
    x: torch.Tensor
    state: Any


def steps(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    x: torch.Tensor,
    randn: Randn,
    cond: Cond | None = None,
    constraint: Constraint | None = None,
    state: Any = None,
) -> Iterator[Step]:
    """Solve from x, at the grid's first level, to its last, and yield after every step.

    Where the grid rises, noise is added, ``x_t ~ q(x_t | x_s)``. Progress, previews and early stops stay with the
    caller.

    Args:
        denoise: the denoiser with its wrappers (guidance, clipping, :class:`ddpm.constraints.DDNM`).
        grid: levels to visit, the noisiest first. A solver's state lasts from one rise to the next.
        x: (B, C, *space) at ``grid[0]``; see :func:`start`.
        randn: fresh noise like x, called by stochastic solvers, rises and constraints only.
        cond: what the samples shall be.
        constraint: put on x at every level. As x is then not where the solver led it, its state starts afresh.
        state: the solver's after earlier steps, to go on along the rest of their grid; if None it begins.
    """
    bound = partial(denoise, cond=cond)
    number, at = 0, grid[0]
    for descent in descents(grid):
        with torch.no_grad():
            if at != descent[0]:
                x = renoised(x, at, descent[0], randn)
            if constraint is not None:
                x = constraint(x, descent[0], randn)
        state, at = solver.init(descent) if state is None else state, descent[-1]
        for now, next in pairwise(descent):
            with torch.no_grad():
                x, state = solver.step(bound, x, now, next, state, randn)
                if constraint is not None:
                    x, state = constraint(x, next, randn), solver.init(descent)
            number += 1
            yield Step(number, next, x, state)
        state = None


def descents(grid: Sequence[Level]) -> list[Sequence[Level]]:
    """The parts of a grid between its rises, each with both its ends; one, if it only falls."""
    tops = [i for i, (now, next) in enumerate(pairwise(grid), 1) if next.snr < now.snr]
    return [grid[first:last] for first, last in pairwise([0, *tops, len(grid)])]


def evaluations(solver: Solver, grid: Sequence[Level]) -> int:
    """How often the denoiser is asked on a grid that may rise; by a solver with its own steps, at the most."""
    return sum(solver.evaluations(descent) for descent in descents(grid))


def renoised(x: torch.Tensor, now: Level, next: Level, randn: Randn) -> torch.Tensor:
    """``x_t ~ q(x_t | x_s)``, from x_s (B, C, *space) at ``now`` to the noisier ``next``."""
    kept, var = transition(next, now)
    return weighted_sum(kept, x, math.sqrt(var), randn())


def start(level: Level, randn: Randn) -> torch.Tensor:
    """Noise at a grid's first level, ``N(0, sigma² I)``."""
    return level.sigma * randn()


def sample(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    randn: Randn,
    cond: Cond | None = None,
    constraint: Constraint | None = None,
) -> torch.Tensor:
    """New samples (B, C, *space), the loop run to its end."""
    x = start(grid[0], randn)
    for step in steps(denoise, solver, grid, x, randn, cond, constraint):
        x = step.x
    return x
