"""The interface of forward processes, in discrete or continuous time."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from ddpm.core.level import Level, noise_to_signal


class Schedule(Protocol):
    """A noise schedule over timesteps from 0, clean, to T, the noisiest.

    Timesteps need not be whole. The whole ones 1 … T are the ticks used by grids and the bound; each process defines
    the levels between them. All numbers are float64.
    """

    @property
    def T(self) -> int:
        """The number of noisy ticks."""
        ...

    def level(self, timestep: float) -> Level:
        """The level at a timestep, as Python floats: 0 is clean, all in [1, T] have a level, some in (0, 1) do.

        Raises:
            ValueError: if there is no level at the timestep.
        """
        ...

    def levels(self, timesteps: torch.Tensor) -> Level:
        """The levels at timesteps in [0, T], (B,) float64 or int64, as float64 tensors (B,) on the CPU."""
        ...

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """The inverse: noise-to-signal ratios sigma / alpha, (n,) float64 up to infinity -> timesteps in [least, T].

        Args:
            least: The cleanest timestep to return; below 1 only for processes that have levels there.
        """
        ...


@dataclass(frozen=True)
class TimeScaled:
    """A process whose network takes ``scale · t``.

    Nichol & Dhariwal 2021 feed T = 4000 levels as 0 … 999.75, with the scale 1000 / T (``rescale_timesteps`` in
    their code), so that time embeddings mean the same for every T.

    Attributes:
        schedule: The process.
        scale: The factor applied to t, above 0.
    """

    schedule: Schedule
    scale: float

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise ValueError(f"time_scale must be above 0 and finite, not {self.scale}")

    @property
    def T(self) -> int:
        return self.schedule.T

    def level(self, timestep: float) -> Level:
        return self._scaled(self.schedule.level(timestep))

    def levels(self, timesteps: torch.Tensor) -> Level:
        return self._scaled(self.schedule.levels(timesteps))

    def timestep(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        return self.schedule.timestep(ratio, least)

    def _scaled(self, level: Level) -> Level:
        return replace(level, t=self.scale * level.t)


def level_of(schedule: Schedule, ratio: float, least: float = 1.0) -> Level:
    """The level at which sigma / alpha equals a ratio, clamped to timesteps in [least, T]."""
    timestep = schedule.timestep(torch.tensor([ratio], dtype=torch.float64), least)
    return schedule.level(float(timestep))


def timestep_of(schedule: Schedule, level: Level) -> float:
    """The timestep of a level of floats, by its noise-to-signal ratio: in [1, T], or 0 if clean."""
    if level.clean:
        return 0.0
    return float(schedule.timestep(torch.tensor([noise_to_signal(level)], dtype=torch.float64)))
