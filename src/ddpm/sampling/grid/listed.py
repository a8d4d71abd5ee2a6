"""A grid of given timesteps."""

from dataclasses import dataclass
from itertools import pairwise

from ddpm.core import Level, Schedule


@dataclass(frozen=True, slots=True)
class Listed:
    """The levels at these timesteps, then the clean one.

    The first may lie below T, but sampling starts there from pure noise.

    Attributes:
        timesteps: noisiest first, whole or not.
    """

    timesteps: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.timesteps or any(not a > b for a, b in pairwise(self.timesteps)) or not self.timesteps[-1] >= 1:
            raise ValueError(
                f"the timesteps of a grid must decrease strictly, down to at least 1, not {self.timesteps or None}"
            )

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        if steps != len(self.timesteps):
            raise ValueError(f"steps must be {len(self.timesteps)}, the number of timesteps in the grid, not {steps}")
        if self.timesteps[0] > schedule.T:
            raise ValueError(f"the grid must start at timestep {schedule.T} or below, not {self.timesteps[0]:.12g}")
        return [schedule.level(timestep) for timestep in (*self.timesteps, 0)]
