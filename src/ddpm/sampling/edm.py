"""The stochastic sampler of EDM."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from ddpm.core import Level
from ddpm.core.gaussian import transition
from ddpm.core.level import noise_to_signal, weighted_sum
from ddpm.sampling.heun import Heun
from ddpm.sampling.solver import Between, BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class EDMSolver:
    """A solver that adds noise, ``rho -> rho (1 + gamma)``, and takes Heun's step (Karras et al. 2022, alg. 2).

    ``gamma = min(churn / steps, √2 - 1)`` at ratios rho within [low, high], else 0, and limited by the process's
    noisiest level. Two calls a step, one for the last; without churn it is Heun's method.

    Attributes:
        churn, low, high, noise: S_churn, S_tmin, S_tmax and S_noise; by default those for ImageNet (table 5).
    """

    between: Between
    churn: float = 40.0
    low: float = 0.05
    high: float = 50.0
    noise: float = 1.003

    def __post_init__(self) -> None:
        if not 0 <= self.churn < math.inf:
            raise ValueError(f"churn must be at least 0 and finite, not {self.churn}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        raised = [(self._raised(now, len(grid) - 1), next) for now, next in pairwise(grid)]
        return sum(Heun().evaluations(pair) for pair in raised)

    def init(self, grid: Sequence[Level]) -> int:
        """The number of steps, over which churn is spread."""
        return len(grid) - 1

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: int, randn: Randn
    ) -> tuple[torch.Tensor, int]:
        raised = self._raised(now, state)
        if raised is not now:
            kept, var = transition(raised, now)
            x = weighted_sum(kept, x, self.noise * math.sqrt(var), randn())
        return Heun().step(denoise, x, raised, next, None, randn)[0], state

    def _raised(self, now: Level, steps: int) -> Level:
        rho = noise_to_signal(now)
        if not self.churn or not self.low <= rho <= self.high:
            return now
        raised = self.between(rho * (1 + min(self.churn / steps, math.sqrt(2) - 1)))
        return raised if noise_to_signal(raised) > rho else now
