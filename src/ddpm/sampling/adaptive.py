"""An adaptive solver of the probability flow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ddpm.core import Level, scale
from ddpm.core.level import Scalar, per_image, stacked
from ddpm.sampling.solver import Between, BoundDenoiser, Randn

LEAST = 0.002
"""Noise-to-signal ratio to which the flow is followed on the way to the clean level (Karras et al. 2022, sigma_min)."""


class Point(NamedTuple):
    """A point on the flow: z and ``dz / dtheta``, (B, C, *space), and the level of each image."""

    levels: Sequence[Level]
    z: torch.Tensor
    slope: torch.Tensor

    @property
    def x0(self) -> torch.Tensor:
        """The denoiser's x0 there."""
        level = stacked(self.levels)
        return scale(1 / _norm(level), scale(level.alpha, self.z) - scale(level.sigma, self.slope))


class AdaptiveState(NamedTuple):
    """The state of an adaptive solver.

    Attributes:
        angles: the length of the sub-step that each image tries next, in radians; empty before the first.
        evaluations: the number of denoiser calls so far.
    """

    angles: tuple[float, ...]
    evaluations: int


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A solver that adapts its sub-steps between levels, by the pair of Bogacki & Shampine (1989), 3 (2).

    With ``theta = atan2(sigma, alpha)`` and ``z = x / √(alpha² + sigma²) = cos(theta) · x0 + sin(theta) · eps`` it is
    ``dz / dtheta = (cos(theta) · z - x0) / sin(theta)``, regular at both ends. The step to the clean level follows it
    to the least noise of the process, and returns x0 there. Three calls a sub-step, and one for each level of the grid.

    Each image has its own sub-steps, accepted or retried by its own error, so it does not depend on its batch: the
    denoiser is called on all images together, each at its own level. An image that has reached the next level of the
    grid waits for the others.

    Attributes:
        tolerance: root mean square over an image's z of the error of a sub-step, where x0 is in [-1, 1].
        limit: maximum number of sub-steps between two levels of the grid, tried or taken; the last takes the rest.
    """

    between: Between
    tolerance: float = 1e-3
    limit: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < math.inf:
            raise ValueError(f"tolerance must be above 0 and finite, not {self.tolerance}")

    def evaluations(self, grid: Sequence[Level]) -> int:
        """The maximum number of calls; the state counts the actual ones."""
        return (len(grid) - 1) * (1 + 3 * self.limit)

    def init(self, grid: Sequence[Level]) -> AdaptiveState:
        return AdaptiveState((), 0)

    def step(
        self, denoise: BoundDenoiser, x: torch.Tensor, now: Level, next: Level, state: AdaptiveState, randn: Randn
    ) -> tuple[torch.Tensor, AdaptiveState]:
        goal = self.between(LEAST) if next.clean else next
        end, lengths, asked = _angle(goal), list(state.angles) or [math.pi / 2] * len(x), state.evaluations + 1
        at = _ask(denoise, scale(1 / _norm(now), x), [now] * len(x))
        for tried in range(1, self.limit + 1):
            left = [_angle(level) - end for level in at.levels]
            if max(left) <= 0:
                break
            last = tried == self.limit
            # for an image that has arrived, the remaining distance is 0
            whole = [last or length >= rest for length, rest in zip(lengths, left, strict=True)]
            to = [
                goal if all_ else self._level(_angle(level) - length)
                for level, length, all_ in zip(at.levels, lengths, whole, strict=True)
            ]
            proposed, errors = self._sub_step(denoise, at, to)
            asked += 3
            taken = [rest > 0 and (last or e <= self.tolerance) for rest, e in zip(left, errors, strict=True)]
            at = _where(taken, proposed, at)
            del proposed  # frees memory for the next
            for i, (rest, error) in enumerate(zip(left, errors, strict=True)):
                if rest > 0:
                    fits = self._fits(rest if whole[i] else lengths[i], error)
                    # a short last sub-step is no reason to shorten later ones
                    lengths[i] = max(lengths[i], fits) if whole[i] and error <= self.tolerance else fits
        return at.x0 if next.clean else scale(_norm(next), at.z), AdaptiveState(tuple(lengths), asked)

    def _sub_step(self, denoise: BoundDenoiser, at: Point, to: list[Level]) -> tuple[Point, list[float]]:
        """Return the next point by the third-order formula, and the distance of the second-order one for each image."""
        angles = [_angle(level) for level in at.levels]
        h = [_angle(level) - angle for level, angle in zip(to, angles, strict=True)]
        half, later = ([self._level(a + c * b) for a, b in zip(angles, h, strict=True)] for c in (1 / 2, 3 / 4))
        step = torch.tensor(h, dtype=torch.float64)
        second = _ask(denoise, at.z + scale(step / 2, at.slope), half).slope
        third = _ask(denoise, at.z + scale(3 * step / 4, second), later).slope
        proposed = _ask(denoise, at.z + scale(step / 9, 2 * at.slope + 3 * second + 4 * third), to)
        off = scale(step / 72, -5 * at.slope + 6 * second + 8 * third - 9 * proposed.slope)
        # image by image, as the order of summation may depend on the batch
        return proposed, torch.stack([one.square().mean() for one in off]).sqrt().tolist()

    def _fits(self, length: float, error: float) -> float:
        """Return the length whose error, of third order in it, would be slightly below the tolerance."""
        factor: float = 0.9 * (self.tolerance / max(error, 1e-30)) ** (1 / 3)
        return length * min(5.0, max(0.2, factor))

    def _level(self, angle: float) -> Level:
        return self.between(math.tan(angle))


def _ask(denoise: BoundDenoiser, z: torch.Tensor, levels: Sequence[Level]) -> Point:
    level = stacked(levels)
    norm = _norm(level)
    x0 = denoise(scale(norm, z), level).x0
    return Point(levels, z, scale(1 / level.sigma, scale(level.alpha, z) - scale(norm, x0)))


def _where(images: list[bool], a: Point, b: Point) -> Point:
    """Choose a for some images, b for the others."""
    mask = per_image(torch.tensor(images, device=a.z.device), a.z)
    levels = [x if chosen else y for chosen, x, y in zip(images, a.levels, b.levels, strict=True)]
    return Point(levels, torch.where(mask, a.z, b.z), torch.where(mask, a.slope, b.slope))


def _angle(level: Level) -> float:
    return math.atan2(level.sigma, level.alpha)


def _norm(level: Level) -> Scalar:
    norm: Scalar = (level.alpha**2 + level.sigma**2) ** 0.5
    return norm
