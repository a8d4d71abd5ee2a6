"""DPM-Solver: single steps of high order, in the noise (Lu et al. 2022a) or the image (DPM-Solver++, Lu et al. 2022b).

Both solve the flow along log-SNR, and differ in what they take to change slowly: eps or x0. With
``rho = sigma / alpha``, where a first-order step from level t leads is ``eps' - eps_t = (x0_t - x0') / rho'``, so both
are written in x0. The two methods of order 1 are one, DDIM with eta 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import ddim
from ddpm.core.level import noise_to_signal
from ddpm.sampling.exponential import half_log_snr, phi
from ddpm.sampling.flow import evaluations, inner, part_way
from ddpm.sampling.solver import Between, BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class DPMSolver2:
    """``x_s`` by eps at the middle of log-SNR (Lu et al. 2022a, alg. 1, r1 = 1/2).

    It is DDIM's step with ``x0_t + (rho_t / rho_m) (x0_m - x0_t)`` for x0. Order 2, two calls a step; one and
    order 1 from pure noise and to the clean level.
    """

    between: Between

    def evaluations(self, grid: Sequence[Level]) -> int:
        return evaluations(grid, 2)

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        if inner(now, next):
            middle = part_way(self.between, now, next, 1 / 2)
            there = denoise(ddim(x, x0, now, middle), middle).x0
            x0 = x0.lerp(there, noise_to_signal(now) / noise_to_signal(middle))
        return ddim(x, x0, now, next), None


@dataclass(frozen=True, slots=True)
class DPMSolver3:
    """``x_s`` by eps at one and two thirds of log-SNR (Lu et al. 2022a, alg. 2, r1 = 1/3 and r2 = 2/3).

    Order 3, three calls a step; one and order 1 from pure noise and to the clean level.
    """

    between: Between

    def evaluations(self, grid: Sequence[Level]) -> int:
        return evaluations(grid, 3)

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        plain = ddim(x, x0, now, next)
        if not inner(now, next):
            return plain, None
        one, two = (part_way(self.between, now, next, part) for part in (1 / 3, 2 / 3))
        change = denoise(ddim(x, x0, now, one), one).x0 - x0
        # r2 / r1 · bend · rho_2 / rho_1: the change at two thirds as predicted from that at one third
        known = 2 * _bend(now, two) * noise_to_signal(two) / noise_to_signal(one) * change
        change = denoise(ddim(x, x0, now, two) + two.alpha * known, two).x0 - x0 - known
        return plain + 1.5 * _bend(now, next) * next.sigma / noise_to_signal(two) * change, None


@dataclass(frozen=True, slots=True)
class DPMSolverPP2S:
    """``x_s`` by x0 at the middle of log-SNR: DDIM's step with it (Lu et al. 2022b, alg. 1, r = 1/2).

    Order 2, two calls a step; one and order 1 from pure noise and to the clean level.
    """

    between: Between

    def evaluations(self, grid: Sequence[Level]) -> int:
        return evaluations(grid, 2)

    def init(self, grid: Sequence[Level]) -> None:
        return None

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: None, randn: Randn
    ) -> tuple[torch.Tensor, None]:
        x0 = denoise(x, now).x0
        if inner(now, next):
            middle = part_way(self.between, now, next, 1 / 2)
            x0 = denoise(ddim(x, x0, now, middle), middle).x0
        return ddim(x, x0, now, next), None


def _bend(now: Level, next: Level) -> float:
    """``(exp(h) - 1) / h - 1`` of a step of length h."""
    h = half_log_snr(next) - half_log_snr(now)
    return h * phi(2, h)
