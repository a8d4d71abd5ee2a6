"""Steps as long as the image allows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Level
from ddpm.sampling.solver import Between, BoundDenoiser, Randn

LEAST = 0.002
"""Noise-to-signal ratio to which the flow is followed on the way to the clean level (Karras et al. 2022, sigma_min)."""


class Point(NamedTuple):
    """Where the flow is: z and ``dz / dtheta``, (B, C, *space), at a level."""

    level: Level
    z: torch.Tensor
    slope: torch.Tensor

    @property
    def x0(self) -> torch.Tensor:
        """What the denoiser said there."""
        return (self.level.alpha * self.z - self.level.sigma * self.slope) / _norm(self.level)


class AdaptiveState(NamedTuple):
    """How far an adaptive solver has come.

    Attributes:
        angle: the length of the sub-step to try next, in radians.
        evaluations: how often the denoiser was asked so far.
    """

    angle: float
    evaluations: int


@dataclass(frozen=True, slots=True)
class Adaptive:
    """The flow from level to level in as many sub-steps as it needs, by the pair of Bogacki & Shampine (1989), 3 (2).

    With ``theta = atan2(sigma, alpha)`` and ``z = x / √(alpha² + sigma²) = cos(theta) · x0 + sin(theta) · eps`` it is
    ``dz / dtheta = (cos(theta) · z - x0) / sin(theta)``, regular at both ends. The step to the clean level follows it
    to the least noise of the process, and returns x0 there. Three calls a sub-step, and one for each level of the grid.

    Images of a batch share their sub-steps, each of which keeps the error of every image in bounds: an image depends on
    its company, within the tolerance.

    Attributes:
        tolerance: root mean square over an image's z of the error of a sub-step, where x0 is in [-1, 1].
        limit: most sub-steps between two levels of the grid, tried or taken; the last takes what is left.
    """

    between: Between
    tolerance: float = 1e-3
    limit: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < math.inf:
            raise ValueError(f"tolerance must be above 0 and finite, not {self.tolerance}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        """At the most; the state counts how many they are."""
        return (len(grid) - 1) * (1 + 3 * self.limit)

    def init(self, grid: Sequence[Level]) -> AdaptiveState:
        return AdaptiveState(math.pi / 2, 0)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: AdaptiveState, randn: Randn
    ) -> tuple[torch.Tensor, AdaptiveState]:
        goal = self.between(LEAST) if next.clean else next
        at = _ask(denoise, x / _norm(now), now)
        angle, asked = state.angle, state.evaluations + 1
        for tried in range(1, self.limit + 1):
            left = _angle(at.level) - _angle(goal)
            if left <= 0:
                break
            whole = angle >= left or tried == self.limit
            ahead, error = self._sub_step(denoise, at, goal if whole else self._level(_angle(at.level) - angle))
            asked += 3
            if error <= self.tolerance or tried == self.limit:
                at = ahead
            length = left if whole else angle
            # a short rest of the way says nothing against longer sub-steps
            fits = length * min(5.0, max(0.2, 0.9 * (self.tolerance / max(error, 1e-30)) ** (1 / 3)))
            angle = max(angle, fits) if whole and error <= self.tolerance else fits
        x = at.x0 if next.clean else _norm(next) * at.z
        return x, AdaptiveState(angle, asked)

    def _sub_step(self, denoise: BoundDenoiser, at: Point, to: Level) -> tuple[Point, float]:
        """The next point by the third order, and how far the second is from it, at the image where it is farthest."""
        theta, h = _angle(at.level), _angle(to) - _angle(at.level)
        second = _ask(denoise, at.z + h / 2 * at.slope, self._level(theta + h / 2)).slope
        third = _ask(denoise, at.z + 3 * h / 4 * second, self._level(theta + 3 * h / 4)).slope
        ahead = _ask(denoise, at.z + h / 9 * (2 * at.slope + 3 * second + 4 * third), to)
        off = h / 72 * (-5 * at.slope + 6 * second + 8 * third - 9 * ahead.slope)
        return ahead, float(off.flatten(1).square().mean(1).max().sqrt())

    def _level(self, angle: float) -> Level:
        return self.between(math.tan(angle))


def _ask(denoise: BoundDenoiser, z: torch.Tensor, level: Level) -> Point:
    norm = _norm(level)
    return Point(level, z, (level.alpha * z - norm * denoise(norm * z, level).x0) / level.sigma)


def _angle(level: Level) -> float:
    return math.atan2(level.sigma, level.alpha)


def _norm(level: Level) -> float:
    return math.hypot(level.alpha, level.sigma)
