"""The one sampling loop."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch

from ddpm.core import Cond, Denoiser, Level
from ddpm.sampling.solver import Randn, Solver


class Step(NamedTuple):
    """Where sampling stands.

    Attributes:
        number: steps taken so far, 1 … len(grid) - 1.
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
    state: Any = None,
) -> Iterator[Step]:
    """Solve from x, at the grid's first level, to its last, and yield after every step.

    Progress, previews and early stops stay with the caller.

    Args:
        denoise: the denoiser with its wrappers (guidance, clipping).
        grid: levels to visit, noisiest first.
        x: (B, C, *space) at ``grid[0]``; see :func:`start`.
        randn: fresh noise like x, called only by stochastic solvers.
        cond: what the samples shall be.
        state: the solver's after earlier steps, to go on along the rest of their grid; if None it begins.
    """
    bound = partial(denoise, cond=cond)
    state = solver.init(grid) if state is None else state
    for i, (now, next) in enumerate(pairwise(grid), 1):
        with torch.no_grad():
            x, state = solver.step(bound, x, now, next, state, randn)
        yield Step(i, next, x, state)


def start(level: Level, randn: Randn) -> torch.Tensor:
    """Noise at a grid's first level, ``N(0, sigma² I)``."""
    return level.sigma * randn()


def sample(
    denoise: Denoiser, solver: Solver, grid: Sequence[Level], randn: Randn, cond: Cond | None = None
) -> torch.Tensor:
    """New samples (B, C, *space), the loop run to its end."""
    x = start(grid[0], randn)
    for step in steps(denoise, solver, grid, x, randn, cond):
        x = step.x
    return x
