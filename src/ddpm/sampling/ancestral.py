"""Ancestral sampling."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import posterior, transition
from ddpm.sampling.solver import BoundDenoiser, Randn

Variance = Callable[[Level, Level, torch.Tensor | None], float | torch.Tensor]
"""(now, next, var_mix of the denoiser) -> variance of the reverse step, a float or like x."""

Shift = Callable[[torch.Tensor, Level], torch.Tensor]
"""(x, now) -> a direction, (B, C, *space) like x."""


def fixed_large(now: Level, next: Level, var_mix: torch.Tensor | None = None) -> float:
    """``var_t|s``, the upper bound: best where x0 ~ N(0, I) (Ho et al. 2020, sec. 3.2)."""
    return float(transition(now, next).var)


def fixed_small(now: Level, next: Level, var_mix: torch.Tensor | None = None) -> float:
    """``var_t|s · sigma_s² / sigma_t²``, the lower bound: best where x0 is one point (Ho et al. 2020, sec. 3.2)."""
    return float(posterior(now, next).var)


def learned(now: Level, next: Level, var_mix: torch.Tensor | None) -> float | torch.Tensor:
    """``large^m · small^(1 - m)``, the network's own (Nichol & Dhariwal 2021, eq. 15); small where it has learned none.

    For a noisy ``next``.
    """
    small = fixed_small(now, next)
    if var_mix is None:
        return small
    return small * (fixed_large(now, next) / small) ** var_mix


@dataclass(frozen=True, slots=True)
class Ancestral:
    """``x_s ~ N(mean of q(x_s | x_t, x0) + variance · shift, variance)``; the step to clean is the mean alone.

    Ho et al. 2020, alg. 2; with a shift, which moves the mean as far as the step's own noise reaches, Dhariwal & Nichol
    2021, alg. 1.

    Attributes:
        variance: of a step.
        shift: where to move the mean; None for nowhere.
    """

    variance: Variance = learned
    shift: Shift | None = None

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0, var_mix = denoise(x, now)
        mean = posterior(now, next).mean(x0, x)
        if next.clean:
            return mean, None
        variance = self.variance(now, next, var_mix)
        if self.shift is not None:
            mean = mean + variance * self.shift(x, now)
        if isinstance(variance, torch.Tensor):
            return mean.addcmul(variance.sqrt(), randn()), None
        return mean.add(randn(), alpha=math.sqrt(variance)), None
