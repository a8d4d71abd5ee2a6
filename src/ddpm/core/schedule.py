"""What every forward process answers, in discrete or continuous time."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from ddpm.core.level import Level


class Schedule(Protocol):
    """An axis of noise: places from 0, clean, to T, the noisiest.

    Places need not be whole. The whole ones 1 … T are the ticks by which grids and the bound count; what lies between
    two of them is the process's own affair. All numbers are float64.
    """

    @property
    def T(self) -> int:
        """The number of noisy ticks."""
        ...

    def level(self, place: float) -> Level:
        """The level at a place, of Python floats: 0 is clean, and any place in [1, T] has one; in (0, 1) some have.

        Raises:
            ValueError: no level is there.
        """
        ...

    def levels(self, places: torch.Tensor) -> Level:
        """The levels at places in [0, T], (B,) float64 or int64: float64 tensors (B,) on the CPU."""
        ...

    def place(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        """The inverse: noise-to-signal ratios sigma / alpha, (n,) float64 up to infinity -> places held in [least, T].

        Args:
            least: the cleanest place to give; below 1 of a process that has levels there.
        """
        ...


@dataclass(frozen=True)
class TimeScaled:
    """A process as it is, whose network is fed ``scale · t``.

    Nichol & Dhariwal 2021 feed T = 4000 levels as 0 … 999.75, by the scale 1000 / T (``rescale_timesteps`` of their
    code), so that time embeddings mean the same for every T.

    Attributes:
        schedule: the process.
        scale: what its t are multiplied by, above 0.
    """

    schedule: Schedule
    scale: float

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise ValueError(f"the time scale must be above 0 and finite, not {self.scale}")

    @property
    def T(self) -> int:
        return self.schedule.T

    def level(self, place: float) -> Level:
        return self._scaled(self.schedule.level(place))

    def levels(self, places: torch.Tensor) -> Level:
        return self._scaled(self.schedule.levels(places))

    def place(self, ratio: torch.Tensor, least: float = 1.0) -> torch.Tensor:
        return self.schedule.place(ratio, least)

    def _scaled(self, level: Level) -> Level:
        return replace(level, t=self.scale * level.t)


def level_of(schedule: Schedule, ratio: float, least: float = 1.0) -> Level:
    """The level where sigma / alpha is a ratio, held in the noisy ticks, or from another least place on."""
    place = schedule.place(torch.tensor([ratio], dtype=torch.float64), least)
    return schedule.level(float(place))


def place_of(schedule: Schedule, level: Level) -> float:
    """Where a level of floats is on a schedule's axis, by its noise-to-signal ratio: in [1, T], or 0 if clean."""
    if level.clean:
        return 0.0
    ratio = level.sigma / level.alpha if level.alpha else math.inf
    return float(schedule.place(torch.as_tensor(ratio, dtype=torch.float64).reshape(1)))
