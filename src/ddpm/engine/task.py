"""Tasks, which replace parts of plain sampling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoiser, Level
from ddpm.sampling import Randn, start
from ddpm.sampling.loop import Constraint


def _unchanged(denoise: Denoiser) -> Denoiser:
    return denoise


def _as_sampled(x: torch.Tensor) -> torch.Tensor:
    return x


def _as_asked(cond: Cond | None) -> Cond | None:
    return cond


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Replacements for parts of plain sampling, for one batch.

    Attributes:
        levels: the levels to visit; None for the grid of the settings.
        begin: makes x at the first level, (B, C, *space).
        condition: applied to the encoded conditions of the batch.
        before_clipping: applied to the guided denoiser of images of any size.
        after_clipping: applied to the clipped denoiser.
        constraint: applied to x at every level.
        finish: applied to the final x.
    """

    levels: Sequence[Level] | None = None
    begin: Callable[[Level, Randn], torch.Tensor] = start
    condition: Callable[[Cond | None], Cond | None] = _as_asked
    before_clipping: Callable[[Denoiser], Denoiser] = _unchanged
    after_clipping: Callable[[Denoiser], Denoiser] = _unchanged
    constraint: Constraint | None = None
    finish: Callable[[torch.Tensor], torch.Tensor] = _as_sampled


Tasks = Callable[[list[int]], Task]
"""Positions of a batch's images among all images, the last one possibly repeated -> their task."""

PLAIN = Task()
"""Plain sampling."""
