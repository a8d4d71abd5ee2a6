"""Grids of integer timesteps: at most T steps."""

import math
from dataclasses import dataclass

from ddpm.core import Level, Schedule


def uniform(schedule: Schedule, steps: int) -> list[Level]:
    """Noisy levels 1 … T, both ends among them, evenly spread (Nichol & Dhariwal 2021, "linspace" in diffusers)."""
    if steps == 1:
        return _visit(schedule, steps, [schedule.T])
    stride = (schedule.T - 1) / (steps - 1)
    # ties are rounded as in the originals, which count from zero and round to even
    return _visit(schedule, steps, [1 + round(i * stride) for i in range(steps)])


def leading(schedule: Schedule, steps: int) -> list[Level]:
    """Every (T // steps)-th level from level 1 (Song et al. 2021), but the last one is the noisiest.

    The original stops short of level T and yet starts from pure noise; here the sampler starts where its noise belongs.
    """
    stride = schedule.T // max(steps, 1)
    return _visit(schedule, steps, [1 + i * stride for i in range(steps - 1)] + [schedule.T])


def trailing(schedule: Schedule, steps: int) -> list[Level]:
    """Steps of equal length from level T down to the clean level (Lin et al. 2023, table 2)."""
    return _visit(schedule, steps, [round(schedule.T * (i + 1) / steps) for i in range(steps)])


def quadratic(schedule: Schedule, steps: int) -> list[Level]:
    """Square roots evenly spread: small steps near the image (Song et al. 2021, appendix D.2)."""
    return Power(2.0)(schedule, steps)


@dataclass(frozen=True, slots=True)
class Power:
    """``T ((k + 1) / steps)^exponent``: between trailing, whose exponent is 1, and quadratic, whose is 2.

    Attributes:
        exponent: at least 1; the larger, the smaller the steps near the image.
    """

    exponent: float = 1.5

    def __post_init__(self) -> None:
        if not 1 <= self.exponent < math.inf:
            raise ValueError(f"exponent must be at least 1 and finite, not {self.exponent}")

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        return _visit(schedule, steps, [round(schedule.T * ((i + 1) / steps) ** self.exponent) for i in range(steps)])


def _visit(schedule: Schedule, steps: int, timesteps: list[int]) -> list[Level]:
    """Return the levels at rising timesteps, made distinct, from noisy to clean."""
    if not 1 <= steps <= schedule.T:
        raise ValueError(f"steps must be between 1 and {schedule.T}, the levels of the schedule, not {steps}")
    chosen = [0]
    for k, timestep in enumerate(timesteps):
        # at least one above the last, at most so high that the rest still fit below T
        chosen.append(min(max(timestep, chosen[-1] + 1), schedule.T - (steps - 1 - k)))
    return [schedule.level(i) for i in reversed(chosen)]
