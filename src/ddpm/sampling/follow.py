"""The sampling loop with what the denoiser answers on the way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.sampling.loop import Constraint, descents, steps
from ddpm.sampling.solver import Randn, Solver


class Moment(NamedTuple):
    """Where sampling stands, and what is expected to come of it.

    Attributes:
        number, of: steps taken so far, 0 … ``of``.
        level: the level that x is at.
        x: (B, C, *space).
        x0: (B, C, *space), the clean image that the denoiser expects behind x; at the end x itself.
    """

    number: int
    of: int
    level: Level
    x: torch.Tensor
    x0: torch.Tensor


@dataclass
class _FirstAnswer:
    """A denoiser that keeps its first answer of a step, which is to the question about x as the step finds it."""

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
    """What :func:`steps` does, one moment before each step and one after the last, without further calls.

    A solver that adds noise before it asks (EDM's) is asked of the noisier x, and the answer is to that.

    Args:
        x: (B, C, *space) at ``grid[0]``.
    """
    asked, of, level = _FirstAnswer(denoise), sum(len(down) - 1 for down in descents(grid)), grid[0]
    for step in steps(asked, solver, grid, x, randn, cond, constraint):
        assert asked.x0 is not None, "a solver asks in every step"
        yield Moment(step.number - 1, of, level, x, asked.x0)
        level, x, asked.x0 = step.level, step.x, None
    yield Moment(of, of, level, x, x)
