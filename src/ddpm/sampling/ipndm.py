"""The improved pseudo numerical method."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import ddim
from ddpm.core.level import weighted_sum
from ddpm.sampling.exponential import combine
from ddpm.sampling.history import History
from ddpm.sampling.solver import BoundDenoiser, Randn

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of equal steps, the newest first, by the number of points (Liu et al. 2022)."""


@dataclass(frozen=True, slots=True)
class IPNDM:
    """DDIM's step with a mean of the last eps, weighted as if the steps were equal (Zhang & Chen 2022).

        x_s = alpha_s (x_t - sigma_t·eps) / alpha_t + sigma_s·eps,    eps = Σ w_k eps_k

    One network call a step: it begins with lower orders, where PNDM (Liu et al. 2022) begins with Runge-Kutta steps. On
    grids even in ``sigma / alpha`` its order is that of the Adams-Bashforth method; on others at most 2. In
    ``sigma / alpha`` the clean level is a point like any other, so the order stays to the end.

    Attributes:
        order: 1 (DDIM) to 4.
    """

    order: int = 4

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3, 4):
            raise ValueError(f"order must be 1, 2, 3 or 4, not {self.order}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> History:
        return History(self.order)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: History, randn: Randn
    ) -> tuple[torch.Tensor, History]:
        x0 = denoise(x, now).x0
        history = state.add(now, next, weighted_sum(1 / now.sigma, x, -now.alpha / now.sigma, x0))
        if len(history.points) == 1:
            return ddim(x, x0, now, next), history
        ratio = next.alpha / now.alpha
        weights = ADAMS_BASHFORTH[len(history.points) - 1]
        return combine(ratio * x, next.sigma - ratio * now.sigma, weights, history.values), history
