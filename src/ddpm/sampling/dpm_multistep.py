"""DPM-Solver++: the multistep methods and their stochastic variants."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ddpm.core import Level
from ddpm.sampling.exponential import combine, extrapolation, half_log_snr, interpolation
from ddpm.sampling.history import History
from ddpm.sampling.solver import BoundDenoiser, Randn


@dataclass(frozen=True, slots=True)
class DPMMultistep:
    """The polynomial in lambda through the last x0, along the flow or along an SDE of the same marginals.

    With ``q = exp(-h) = sigma_s·alpha_t / (alpha_s·sigma_t)``,

        x_s = (sigma_s / sigma_t) q^eta x_t + alpha_s Σ w_k x0_k + sigma_s sqrt(1 - q^(2 eta)) z

    where w are the weights over the length ``(1 + eta) h``, one network call a step. Order 2 is DPM-Solver++(2M) (Lu et
    al. 2022b, alg. 2). Order 3 halves the curvature of its parabola, as their code and k-diffusion do, and converges at
    order 2. With the full curvature it is the exact integral and converges at order 3, if x0 hardly changes in the
    first step, which has order 1; up to 50 steps it usually has the larger error.

    ``eta = 1`` is the reverse SDE: SDE-DPM-Solver++(2M) (eq. 18), which is k-diffusion's ``dpmpp_2m_sde`` (midpoint),
    and the third-order step of its ``dpmpp_3m_sde``, which takes another second step and does not fall to order 2
    before the clean level.

    Attributes:
        order: 1 to 3.
        eta: the amount of noise removed and added back, at least 0; 0 is deterministic.
        curvature: the fraction of the parabola's curvature that order 3 keeps, 0 to 1.
    """

    order: int = 2
    eta: float = 0.0
    curvature: float = 0.5

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3):
            raise ValueError(f"order must be 1, 2 or 3, not {self.order}")
        if not 0 <= self.eta < math.inf:
            raise ValueError(f"eta must be at least 0 (deterministic), not {self.eta}")
        if not 0 <= self.curvature <= 1:
            raise ValueError(f"curvature must be between 0 and 1 (the exact integral), not {self.curvature}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        return len(grid) - 1

    def init(self, grid: Sequence[Level]) -> History:
        return History.before(grid, self.order)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: History, randn: Randn
    ) -> tuple[torch.Tensor, History]:
        x0 = denoise(x, now).x0
        history = state.add(now, next, x0)
        if next.clean:
            return x0, history
        rate, h = 1 + self.eta, half_log_snr(next) - half_log_snr(now)
        nodes = [rate * node for node in history.nodes]
        three = len(nodes) == 3
        weights = interpolation(nodes, rate * h, self.curvature) if three else extrapolation(nodes, rate * h)
        x = next.sigma / now.sigma * math.exp(-h) ** self.eta * x
        x = combine(x, next.alpha, weights, history.values)
        if self.eta:
            x = x.add(randn(), alpha=float(next.sigma) * math.sqrt(-math.expm1(-2 * self.eta * h)))
        return x, history
