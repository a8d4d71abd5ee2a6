"""Solves of many grids from one noise: each goes on from where it parts from one that is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.sampling.loop import steps
from ddpm.sampling.solver import Solver


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """A solve, with all that another needs to go on from its midst.

    Attributes:
        grid: its levels.
        x: (B, C, *space) at each of them.
        answers: of the denoiser at each but the last.
        states: of the solver at each of them.
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
    """Solves grids as the sampling loop does, bit for bit, and asks nothing that is known.

    For solvers that ask once a step, of the x and the level where it begins, and draw no noise. Where the first m
    levels of a grid are those of a known solve, so are x, the solver's state and the answer at the m-th, and
    ``len(grid) - 1 - m`` calls are left.

    Attributes:
        denoise: the denoiser with its wrappers.
        solver: of one call a step.
        x: (B, C, *space) at the noisiest level, where every grid begins.
        answer: the denoiser's to that.
        cond: what the samples shall be.
    """

    denoise: Denoiser
    solver: Solver
    x: torch.Tensor
    answer: Denoised
    cond: Cond | None = None

    def __call__(self, grid: Sequence[Level], known: Solved | None = None) -> Solved:
        """Solve a grid.

        Args:
            known: by the same solver on a grid of as many steps that starts at the same level.
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
    raise ValueError("a solver that draws noise has no one solve of a grid")
