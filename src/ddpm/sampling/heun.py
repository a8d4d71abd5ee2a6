"""Heun's method."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import ddim
from ddpm.core.level import noise_to_signal
from ddpm.sampling.flow import evaluations, inner
from ddpm.sampling.solver import BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class Heun:
    """Euler's step in (x / alpha, rho), corrected with the mean of eps at its two ends (Karras et al. 2022, alg. 1).

    As ``eps_s = eps_t + (x0_t - x0_s) / rho_s``, it is DDIM's step with
    ``x0_t + rho_t / (2 rho_s) (x0_s - x0_t)`` for x0. Order 2 with two calls per step; order 1 with one call
    from pure noise and to the clean level.
    """

    def evaluations(self, grid: Sequence[Level]) -> int:
        return evaluations(grid, 2)

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        guess = ddim(x, x0, now, next)
        if not inner(now, next):
            return guess, None
        x0_next = denoise(guess, next).x0
        return ddim(x, x0.lerp(x0_next, 0.5 * noise_to_signal(now) / noise_to_signal(next)), now, next), None
