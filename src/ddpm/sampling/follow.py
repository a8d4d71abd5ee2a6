"""The sampling loop with the denoiser's answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.sampling.loop import Constraint, descents, steps
from ddpm.sampling.solver import Randn, Solver


class Moment(NamedTuple):
    """The state of sampling, with the expected result.

    Attributes:
        number, of: the number of steps taken so far, 0 … ``of``.
        level: the level of x.
        x: (B, C, *space).
        x0: (B, C, *space), the clean image that the denoiser expects from x; at the end x itself.
    """

    number: int
    of: int
    level: Level
    x: torch.Tensor
    x0: torch.Tensor


@dataclass
class _FirstAnswer:
    """A denoiser that keeps its first answer of a step, which is for the x where the step starts."""

    denoise: Denoiser
    x0: torch.Tensor | None = None

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        denoised = self.denoise(x, level, cond)
        if self.x0 is None:
            self.x0 = denoised.x0
        return denoised


def follow(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    x: torch.Tensor,
    randn: Randn,
    cond: Cond | None = None,
    constraint: Constraint | None = None,
) -> Iterator[Moment]:
    """Run :func:`steps`, yielding a moment before each step and one after the last, without further calls.

    A solver that first adds noise (EDM's) calls the denoiser on the noisier x, and x0 is the answer for that.

    Args:
        x: (B, C, *space) at ``grid[0]``.
    """
    asked, of, level = _FirstAnswer(denoise), sum(len(down) - 1 for down in descents(grid)), grid[0]
    for step in steps(asked, solver, grid, x, randn, cond, constraint):
        assert asked.x0 is not None, "every step calls the denoiser"
        yield Moment(step.number - 1, of, level, x, asked.x0)
        level, x, asked.x0 = step.level, step.x, None
    yield Moment(of, of, level, x, x)
