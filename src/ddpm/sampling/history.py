"""What a multistep method remembers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch

from ddpm.core import Level
from ddpm.sampling.exponential import half_log_snr


class PastValue(NamedTuple):
    """Where the denoiser was asked, and what is kept of its answer: x0 or eps, (B, C, *space)."""

    level: Level
    value: torch.Tensor


@dataclass(frozen=True, slots=True)
class History:
    """The points that a step may use, the newest first: fewer than the order while there are no more.

    A level without signal is nowhere in lambda, and is forgotten after its own step. So is everything once x is at
    another level than where the last step led.

    Attributes:
        order: as many points as a step uses.
        left: steps to go, which the points of none exceed; infinite if the order shall not fall.
        end: where the last step led.
        points: of the step that is taken.
    """

    order: int
    left: float = math.inf
    end: Level | None = None
    points: tuple[PastValue, ...] = ()

    @classmethod
    def before(cls, grid: Sequence[Level], order: int) -> Self:
        """Nothing yet, on a grid whose last steps, if they lead to the clean level, fall to order 1.

        The step to clean is endless in lambda, and those before it are long (``lower_order_final`` of the codes of Lu
        et al. 2022b and Zhao et al. 2023).
        """
        return cls(order, len(grid) - 1 if grid[-1].clean else math.inf)

    def at(self, now: Level) -> Self:
        """What of it holds for a step that starts from a level."""
        points = tuple(p for p in self.points if p.level.alpha) if now == self.end else ()
        return type(self)(self.order, self.left, now, points)

    def add(self, now: Level, next: Level, value: torch.Tensor) -> Self:
        """With what was said at ``now``, for the step to ``next``."""
        count = int(min(self.order, self.left))
        points = (PastValue(now, value), *self.at(now).points)[:count]
        return type(self)(self.order, self.left - 1, next, points)

    @property
    def nodes(self) -> list[float]:
        """lambda of the points, from that of the newest."""
        return [0.0, *(half_log_snr(p.level) - half_log_snr(self.points[0].level) for p in self.points[1:])]

    @property
    def values(self) -> list[torch.Tensor]:
        return [p.value for p in self.points]
