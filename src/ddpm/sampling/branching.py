"""Solve many grids from the same noise, each branching off from a known solution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.sampling.loop import steps
from ddpm.sampling.solver import Solver


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A solution with everything needed to continue from any of its levels.

    Attributes:
        grid: the levels.
        x: (B, C, *space) at each of them.
        answers: the denoiser's answers at each but the last.
        states: the solver's states at each of them.
    """

    grid: Sequence[Level]
    x: Sequence[torch.Tensor]
    answers: Sequence[Denoised]
    states: Sequence[Any]

    @property
    def end(self) -> torch.Tensor:
        return self.x[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Branching:
    """A solver of grids that matches the sampling loop bit for bit, but reuses known solutions.

    For solvers that draw no noise and call the denoiser once a step, on the x and level where it starts. Where the
    first m levels of a grid match a known solution, so do x, the solver's state and the answer at the m-th, and
    ``len(grid) - 1 - m`` calls remain.

    Attributes:
        denoise: the denoiser with its wrappers.
        solver: a solver of one call a step.
        x: (B, C, *space) at the noisiest level, where every grid starts.
        answer: the denoiser's answer there.
        cond: the conditioning of the samples.
    """

    denoise: Denoiser
    solver: Solver
    x: torch.Tensor
    answer: Denoised
    cond: Cond | None = None

    def __call__(self, grid: Sequence[Level], known: Solved | None = None) -> Solved:
        """Solve a grid.

        Args:
            known: a solution by the same solver on a grid of equally many steps that starts at the same level.
        """
        if known is None:
            known = Solved(grid[:1], [self.x], [self.answer], [self.solver.init(grid)])
        parted = (i for i, (a, b) in enumerate(zip(grid[:-1], known.grid, strict=False)) if a != b)
        shared = next(parted, min(len(grid) - 1, len(known.grid)))
        path, answers, states = list(known.x[:shared]), list(known.answers[:shared]), list(known.states[:shared])
        waiting = [answers[-1]]

        def ask(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
            if not waiting:
                answers.append(self.denoise(x, level, cond))
                return answers[-1]
            return waiting.pop()

        for step in steps(ask, self.solver, grid[shared - 1 :], path[-1], _none, self.cond, state=states[-1]):
            path.append(step.x)
            states.append(step.state)
        return Solved(grid, path, answers, states)


def _none() -> torch.Tensor:
    raise ValueError("the solver draws noise, so its solutions cannot be reused; use a deterministic solver")
