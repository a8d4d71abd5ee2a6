"""Multistep sampling of a consistency model."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import diffuse
from ddpm.sampling.solver import BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class Consistency:
    """``x_s = alpha_s · x0 + sigma_s · z``: all noise is fresh at every step (Song et al. 2023, alg. 1).

    For a denoiser that returns the clean end of the trajectory through x, not the mean of the images that x may come
    from: then x_s is distributed as noised data at every level. DDIM, even with eta 1, keeps a part of x_t.
    """

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        return (x0 if next.clean else diffuse(x0, randn(), next)), None
