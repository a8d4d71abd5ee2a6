"""The sampling loop."""

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
"""(x, level, randn) -> x (B, C, *space), made consistent with what is known at a level."""


class Step(NamedTuple):
    """The state of sampling after a step.

    Attributes:
        number: the number of steps taken so far, from 1. A rise of the grid does not count.
        level: the level of x.
        x: (B, C, *space).
        state: the solver's state, such as the number of calls of an adaptive one.
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

    Where the grid rises, noise is added, ``x_t ~ q(x_t | x_s)``. Progress, previews and early stopping are up to the
    caller.

    Args:
        denoise: the denoiser with its wrappers (guidance, clipping, :class:`ddpm.constraints.DDNM`).
        grid: levels to visit, the noisiest first. A solver's state lasts from one rise to the next.
        x: (B, C, *space) at ``grid[0]``; see :func:`start`.
        randn: returns fresh noise like x, used only by stochastic solvers, rises and constraints.
        cond: the conditioning of the samples.
        constraint: applied to x at every level. As this moves x, the solver's state is reset.
        state: the solver's state after earlier steps, to continue on the rest of their grid; None to start.
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
    """Split a grid at its rises into falling parts, each with both its ends."""
    tops = [i for i, (now, next) in enumerate(pairwise(grid), 1) if next.snr < now.snr]
    return [grid[first:last] for first, last in pairwise([0, *tops, len(grid)])]


def evaluations(solver: Solver, grid: Sequence[Level]) -> int:
    """Count the denoiser calls on a grid that may rise; for an adaptive solver the maximum."""
    return sum(solver.evaluations(descent) for descent in descents(grid))


def renoised(x: torch.Tensor, now: Level, next: Level, randn: Randn) -> torch.Tensor:
    """Sample ``x_t ~ q(x_t | x_s)``, from x_s (B, C, *space) at ``now`` to the noisier ``next``."""
    kept, var = transition(next, now)
    return weighted_sum(kept, x, math.sqrt(var), randn())


def start(level: Level, randn: Randn) -> torch.Tensor:
    """Draw noise at a grid's first level, ``N(0, sigma² I)``."""
    return level.sigma * randn()


def sample(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    randn: Randn,
    cond: Cond | None = None,
    constraint: Constraint | None = None,
) -> torch.Tensor:
    """Run the loop to its end and return new samples (B, C, *space)."""
    x = start(grid[0], randn)
    for step in steps(denoise, solver, grid, x, randn, cond, constraint):
        x = step.x
    return x
