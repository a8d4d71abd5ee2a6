"""A grid of places that are given."""

from dataclasses import dataclass
from itertools import pairwise

from ddpm.core import Level, Schedule


@dataclass(frozen=True, slots=True)
class Listed:
    """The levels at these places, then the clean one.

    The first may lie below T, but sampling begins there from nothing but noise.

    Attributes:
        places: noisiest first, whole or not.
    """

    places: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.places or any(not a > b for a, b in pairwise(self.places)) or not self.places[-1] >= 1:
            raise ValueError(f"the places of a grid must fall strictly, to 1 at the least, not {self.places or None}")

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        if steps != len(self.places):
            raise ValueError(f"steps must be {len(self.places)}, the places that the grid lists, not {steps}")
        if self.places[0] > schedule.T:
            raise ValueError(f"the grid begins at {self.places[0]:.12g}, above the {schedule.T} levels of the schedule")
        return [schedule.level(place) for place in (*self.places, 0)]
