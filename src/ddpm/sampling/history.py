"""The history of a multistep method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch

from ddpm.core import Level
from ddpm.sampling.exponential import half_log_snr


class PastValue(NamedTuple):
    """A level where the denoiser was called, with the x0 or eps kept from its answer, (B, C, *space)."""

    level: Level
    value: torch.Tensor


@dataclass(frozen=True, slots=True)
class History:
    """The points that a step may use, newest first: fewer than the order at the beginning.

    A level without signal has no lambda and is dropped after its own step. Everything is dropped if x is not at the
    level where the last step ended.

    Attributes:
        order: the maximum number of points of a step.
        left: the number of steps left, which also limits the points; infinite to keep the order to the end.
        end: the level where the last step ended.
        points: the points of the current step.
    """

    order: int
    left: float = math.inf
    end: Level | None = None
    points: tuple[PastValue, ...] = ()

    @classmethod
    def before(cls, grid: Sequence[Level], order: int) -> Self:
        """Make an empty history for a grid, whose last steps fall to order 1 if they lead to the clean level.

        The step to clean is infinite in lambda, and those before it are long (``lower_order_final`` in the code of Lu
        et al. 2022b and Zhao et al. 2023).
        """
        return cls(order, len(grid) - 1 if grid[-1].clean else math.inf)

    def at(self, now: Level) -> Self:
        """Return the part that is valid for a step from this level."""
        points = tuple(p for p in self.points if p.level.alpha) if now == self.end else ()
        return type(self)(self.order, self.left, now, points)

    def add(self, now: Level, next: Level, value: torch.Tensor) -> Self:
        """Add the answer at ``now``, for the step to ``next``."""
        count = int(min(self.order, self.left))
        points = (PastValue(now, value), *self.at(now).points)[:count]
        return type(self)(self.order, self.left - 1, next, points)

    @property
    def nodes(self) -> list[float]:
        """Return lambda of the points, relative to the newest."""
        return [0.0, *(half_log_snr(p.level) - half_log_snr(self.points[0].level) for p in self.points[1:])]

    @property
    def values(self) -> list[torch.Tensor]:
        return [p.value for p in self.points]
