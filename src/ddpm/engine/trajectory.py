"""The sampling trajectory as pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from ddpm.core import Level, Schedule
from ddpm.core.schedule import timestep_of
from ddpm.images.pixels import Pixels
from ddpm.sampling.follow import Moment


@dataclass(frozen=True)
class Stage:
    """A point on the sampling trajectory.

    Attributes:
        number: the number of steps taken.
        index: the level's timestep in the schedule, rounded.
        x: (n, H, W, C) uint8, the current state.
        x0: (n, H, W, C) uint8, the expected image, guided and clipped; at the end x itself.
    """

    number: int
    index: int
    level: Level
    x: Pixels
    x0: Pixels


class Trajectory(NamedTuple):
    """Samples with the stages that led to them, from the noise to the samples."""

    images: list[Image.Image]
    stages: list[Stage]


def spread(last: int, most: int) -> list[int]:
    """Choose at most ``most`` of 0 … last, evenly spread, including both ends."""
    return sorted({round(last * k / (most - 1)) for k in range(most)})


class Recorder:
    """A callback that keeps at most ``most`` (at least 2) moments of each batch, evenly spread over the steps."""

    def __init__(self, decode: Callable[[torch.Tensor], torch.Tensor], most: int) -> None:
        self._decode, self._most = decode, most
        self._kept: dict[int, tuple[Level, list[Pixels], list[Pixels]]] = {}

    def __call__(self, moment: Moment) -> None:
        if moment.number in spread(moment.of, self._most):
            _, x, x0 = self._kept.setdefault(moment.number, (moment.level, [], []))
            x.append(self._decode(moment.x).cpu().numpy())
            x0.append(self._decode(moment.x0).cpu().numpy())

    def stages(self, schedule: Schedule) -> list[Stage]:
        """Return the stages of all batches together."""
        return [
            Stage(number, round(timestep_of(schedule, level)), level, np.concatenate(x), np.concatenate(x0))
            for number, (level, x, x0) in self._kept.items()
        ]
