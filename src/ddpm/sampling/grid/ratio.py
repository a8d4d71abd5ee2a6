"""Grids that are evenly spread along a function of the noise-to-signal ratio r = sigma / alpha.

They run from level T to level 1. Where level T has no signal its ratio is infinite: the spread is then that from the
next level, T - 1, and only the first level is moved up to T.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Level, Schedule
from ddpm.sampling.grid.grid import visit

Map = Callable[[torch.Tensor], torch.Tensor]


def log_snr(schedule: Schedule, steps: int) -> list[Level]:
    """Log-SNR, which is ``-2 log r``, evenly spread (Lu et al. 2022, "DPM-Solver").

    So neighbours have the same quotient of ratios: what k-diffusion and diffusers call exponential.
    """
    return _spread(schedule, steps, torch.log, torch.exp)


@dataclass(frozen=True, slots=True)
class Karras:
    """``r^(1 / rho)`` evenly spread (Karras et al. 2022, eq. 5).

    Attributes:
        rho: the larger, the smaller the steps near the image; 1 is even in r, and infinity would be log-SNR.
    """

    rho: float = 7.0

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        return _spread(schedule, steps, lambda r: r ** (1 / self.rho), lambda root: root**self.rho)


def _spread(schedule: Schedule, steps: int, bend: Map, unbend: Map) -> list[Level]:
    def place(share: torch.Tensor) -> torch.Tensor:
        noisiest, cleanest = bend(torch.tensor(_ends(schedule), dtype=torch.float64))
        return schedule.place(unbend(torch.lerp(noisiest, cleanest, share)))

    return visit(schedule, steps, place)


def _ends(schedule: Schedule) -> tuple[float, float]:
    """The ratios of the noisiest level with signal and of level 1."""
    last, first = schedule.level(schedule.T), schedule.level(1)
    if last.alpha == 0:
        # of T = 2, the level halfway: level T - 1 would leave nothing to spread over
        last = schedule.level(max(schedule.T - 1, (schedule.T + 1) / 2))
    return float(last.sigma / last.alpha), float(first.sigma / first.alpha)
