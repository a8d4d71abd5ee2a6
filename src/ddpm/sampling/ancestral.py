"""Ancestral sampling."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import posterior, transition
from ddpm.sampling.solver import BoundDenoiser, Randn

Variance = Callable[[Level, Level], float]
"""(now, next) -> variance of the reverse step."""


def fixed_large(now: Level, next: Level) -> float:
    """``var_t|s``, the upper bound: best where x0 ~ N(0, I) (Ho et al. 2020, sec. 3.2)."""
    return float(transition(now, next).var)


def fixed_small(now: Level, next: Level) -> float:
    """``var_t|s · sigma_s² / sigma_t²``, the lower bound: best where x0 is one point (Ho et al. 2020, sec. 3.2)."""
    return float(posterior(now, next).var)


@dataclass(frozen=True, slots=True)
class Ancestral:
    """``x_s ~ N(mean of q(x_s | x_t, x0), variance)`` (Ho et al. 2020, alg. 2); the step to clean adds no noise."""

    variance: Variance = fixed_small

    def init(self) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        mean = posterior(now, next).mean(denoise(x, now).x0, x)
        if next.clean:
            return mean, None
        return mean + math.sqrt(self.variance(now, next)) * randn(), None
