"""Grids evenly spaced in a function of the noise-to-signal ratio r = sigma / alpha.

They run from level T to level 1. The spread starts at ``sigma_max``, or at the ratio of level T if that is lower, and
only its first level is then moved up to T. Some schedules end far above, the cosine one at 20,000 and a flow without
any signal, where x0 is the mean of all images and there is nothing to solve.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Level, Schedule
from ddpm.sampling.grid.grid import visit

Map = Callable[[torch.Tensor], torch.Tensor]

SIGMA_MAX = 80.0
"""The noise-to-signal ratio at which sampling starts in Karras et al. 2022, table 1, for images of spread 1/2."""


@dataclass(frozen=True, slots=True)
class LogSNR:
    """Log-SNR, which is ``-2 log r``, evenly spread (Lu et al. 2022, "DPM-Solver").

    Neighbours have a constant quotient of ratios, called exponential in k-diffusion and diffusers.

    Attributes:
        sigma_max: the highest ratio of the spread; infinite for all of the schedule.
    """

    sigma_max: float = SIGMA_MAX

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        return _spread(schedule, steps, self.sigma_max, torch.log, torch.exp)


@dataclass(frozen=True, slots=True)
class Karras:
    """``r^(1 / rho)`` evenly spread (Karras et al. 2022, eq. 5).

    Attributes:
        rho: the larger, the smaller the steps near the image; 1 is even in r, and infinity would be log-SNR.
        sigma_max: the highest ratio of the spread; infinite for all of the schedule.
    """

    rho: float = 7.0
    sigma_max: float = SIGMA_MAX

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        return _spread(schedule, steps, self.sigma_max, lambda r: r ** (1 / self.rho), lambda root: root**self.rho)


def _spread(schedule: Schedule, steps: int, sigma_max: float, bend: Map, unbend: Map) -> list[Level]:
    def timestep(share: torch.Tensor) -> torch.Tensor:
        noisiest, cleanest = bend(torch.tensor(_ends(schedule, sigma_max), dtype=torch.float64))
        return schedule.timestep(unbend(torch.lerp(noisiest, cleanest, share)))

    return visit(schedule, steps, timestep)


def _ends(schedule: Schedule, sigma_max: float) -> tuple[float, float]:
    """The highest ratio of the spread, and that of level 1."""
    last, first = schedule.level(schedule.T), schedule.level(1)
    if last.alpha == 0:
        # for T = 2 the level halfway, as level T - 1 would leave no range to spread over
        last = schedule.level(max(schedule.T - 1, (schedule.T + 1) / 2))
    noisiest, cleanest = min(float(last.sigma / last.alpha), sigma_max), float(first.sigma / first.alpha)
    if not noisiest > cleanest:
        raise ValueError(f"sigma_max must be above {cleanest:.4g}, the ratio of level 1, not {sigma_max}")
    return noisiest, cleanest
