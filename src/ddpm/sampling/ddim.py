"""Denoising diffusion implicit models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import posterior
from ddpm.core.level import weighted_sum
from ddpm.sampling.solver import BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class DDIM:
    """``x_s = alpha_s · x0 + sqrt(sigma_s² - std²) · eps + std · z`` (Song et al. 2021, eq. 12 and 16).

    The noise eps follows from x_t and the (clipped, guided) x0, so the two are always consistent.

    Attributes:
        eta: ``std² = eta² ·`` the posterior's variance: 0 is deterministic, 1 is ancestral sampling.
    """

    eta: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.eta <= 1:
            raise ValueError(f"eta must be between 0 (deterministic) and 1 (ancestral), not {self.eta}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        if next.clean:
            return x0, None
        # without noise to add, any level may follow, even one without signal
        var = self.eta**2 * float(posterior(now, next).var) if self.eta else 0.0
        # alpha_s·x0 + c·eps with eps = (x - alpha_t·x0) / sigma_t, gathered into one weight each
        c = math.sqrt(next.sigma**2 - var) / now.sigma
        x = weighted_sum(c, x, next.alpha - c * now.alpha, x0)
        return (x.add(randn(), alpha=math.sqrt(var)) if var else x), None
