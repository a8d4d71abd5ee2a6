"""What sampling is bent to, where it is not to draw from nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Denoiser, Level
from ddpm.sampling import Randn, start
from ddpm.sampling.loop import Constraint


def _as_it_is(denoise: Denoiser) -> Denoiser:
    return denoise


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """Of one batch: what takes the place of the parts of ordinary sampling.

    Attributes:
        levels: the levels to visit; None for the grid of the settings.
        begin: x at the first of them, (B, C, *space).
        bent: what becomes of the denoiser, guided, of images of any size.
        held: what becomes of that, clipped.
        constraint: what is put on x at every level.
    """

    levels: Sequence[Level] | None = None
    begin: Callable[[Level, Randn], torch.Tensor] = start
    bent: Callable[[Denoiser], Denoiser] = _as_it_is
    held: Callable[[Denoiser], Denoiser] = _as_it_is
    constraint: Constraint | None = None


Tasks = Callable[[list[int]], Task]
"""Numbers of the images of a batch, among all that are drawn, the last perhaps repeated -> their task."""

PLAIN = Task()
"""Drawing from nothing."""
