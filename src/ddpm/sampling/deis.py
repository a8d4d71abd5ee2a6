"""The diffusion exponential integrator sampler."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.core.gaussian import ddim
from ddpm.core.level import weighted_sum
from ddpm.sampling.exponential import combine, half_log_snr, interpolation
from ddpm.sampling.history import History
from ddpm.sampling.solver import BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class DEIS:
    """The polynomial in log rho, ``rho = sigma / alpha``, through the last eps (Zhang & Chen 2022, eq. 14 and 15).

        x_s = (alpha_s / alpha_t) x_t + alpha_s Σ eps_k ∫ L_k(log rho) d rho    from rho_t to rho_s

    with exact integrals, one network call a step. The paper's polynomials are in t (tAB) or rho; this variable is that
    of diffusers ("logrho"), and the same for every process. Order 1 is DDIM, and so is the step to the clean level,
    where log rho diverges.

    Attributes:
        order: the number of points of the polynomial, 1 to 3; the paper counts its degree.
    """

    order: int = 3

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, not {self.order}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> History:
        return History.before(grid, self.order)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: History, randn: Randn
    ) -> tuple[torch.Tensor, History]:
        x0 = denoise(x, now).x0
        history = state.add(now, next, weighted_sum(1 / now.sigma, x, -now.alpha / now.sigma, x0))
        if next.clean or len(history.points) == 1:
            return ddim(x, x0, now, next), history
        # log rho is -lambda
        weights = interpolation([-node for node in history.nodes], half_log_snr(now) - half_log_snr(next))
        return combine(next.alpha / now.alpha * x, next.sigma, weights, history.values), history
