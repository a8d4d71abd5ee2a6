"""Invert an image to the noise that it would be sampled from."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import NoReturn

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level
from ddpm.sampling.loop import Step
from ddpm.sampling.solver import BoundDenoiser, Solver


def inversion(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    x: torch.Tensor,
    cond: Cond | None = None,
    corrections: int = 0,
) -> Iterator[Step]:
    """Follow the probability flow upwards (Song et al. 2021, sec. 4.3), and yield after every step.

    From s to the noisier t the solver's own step, whose formula holds for any pair of levels, keeps its order. The step
    back from there ends slightly off x_s; each correction, at the cost of another step, removes most of the error:

        ``x_t <- x_t + (n_t / n_s) (x_s - step(x_t))``,  n² = alpha² + sigma²

    has as its fixed point the x_t from which the step to s is x_s (Pan et al. 2023). From the clean level, at which
    there is no eps, the step is ``alpha_t · x + sigma_t · eps`` with the eps of ``alpha_t · x`` at level t.

    Args:
        denoise: the denoiser for sampling, but not clipped, as then many noises would lead to one image.
        solver: a deterministic single-step solver: ``DDIM``, ``Heun``, a single-step ``DPM-Solver``.
        grid: the grid for sampling, noisiest first; it is visited from its last level to its first.
        x: (B, C, *space) at ``grid[-1]``.
        cond: the conditioning of the image.
        corrections: the number of corrections of each step, at least 0.

    Raises:
        ValueError: the solver draws noise or uses earlier steps, and has no inverse.
    """
    if corrections < 0:
        raise ValueError(f"corrections must be at least 0, not {corrections}")
    if solver.init(grid) is not None:
        raise ValueError(f"{solver} uses earlier steps, so it cannot be inverted; use a single-step solver")
    for now, next in pairwise(grid):
        solver.step(lambda x, level: Denoised(x), x, now, next, None, _no_noise)  # no network call
    bound = partial(denoise, cond=cond)
    for i, (now, next) in enumerate(pairwise(reversed(grid)), 1):
        with torch.no_grad():
            x = _up(bound, solver, x, now, next, corrections)
        yield Step(i, next, x, None)


def invert(
    denoise: Denoiser,
    solver: Solver,
    grid: Sequence[Level],
    x: torch.Tensor,
    cond: Cond | None = None,
    corrections: int = 0,
) -> torch.Tensor:
    """Run :func:`inversion` to its end: return the noise (B, C, *space) at ``grid[0]`` that the loop turns into x."""
    for step in inversion(denoise, solver, grid, x, cond, corrections):
        x = step.x
    return x


def _up(
    denoise: BoundDenoiser, solver: Solver, x: torch.Tensor, now: Level, next: Level, corrections: int
) -> torch.Tensor:
    """Take one step from x at ``now`` to the noisier ``next``."""
    if now.clean:
        still = next.alpha * x
        inverted = still + next.alpha * (x - denoise(still, next).x0)  # the second term is sigma eps
    else:
        inverted, _ = solver.step(denoise, x, now, next, None, _no_noise)
    scale = ((next.alpha**2 + next.sigma**2) / (now.alpha**2 + now.sigma**2)) ** 0.5
    for _ in range(corrections):
        back, _ = solver.step(denoise, inverted, next, now, None, _no_noise)
        inverted = inverted + scale * (x - back)
    return inverted


def _no_noise() -> NoReturn:
    raise ValueError("the solver draws noise, so it cannot be inverted; use a deterministic solver")
