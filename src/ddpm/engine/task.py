"""What takes the place of parts of ordinary sampling, where it does not start from nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoiser, Level
from ddpm.sampling import Randn, start
from ddpm.sampling.loop import Constraint


def _unchanged(denoise: Denoiser) -> Denoiser:
    return denoise


def _as_asked(cond: Cond | None) -> Cond | None:
    return cond


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """For one batch: what takes the place of the parts of ordinary sampling.

    Attributes:
        levels: the levels to visit; None for the grid of the settings.
        begin: x at the first of them, (B, C, *space).
        condition: applied to the encoded conditions of the batch.
        bent: applied to the denoiser, guided, of images of any size.
        held: applied to that, clipped.
        constraint: applied to x at every level.
    """

    levels: Sequence[Level] | None = None
    begin: Callable[[Level, Randn], torch.Tensor] = start
    condition: Callable[[Cond | None], Cond | None] = _as_asked
    bent: Callable[[Denoiser], Denoiser] = _unchanged
    held: Callable[[Denoiser], Denoiser] = _unchanged
    constraint: Constraint | None = None


Tasks = Callable[[list[int]], Task]
"""Positions of the images of a batch among all that are drawn, the last perhaps repeated -> their task."""

PLAIN = Task()
"""Sampling from nothing."""
