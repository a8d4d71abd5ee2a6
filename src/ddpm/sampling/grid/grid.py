"""The type of grids."""

from collections.abc import Callable

import torch

from ddpm.core import Level, Schedule

Grid = Callable[[Schedule, int], list[Level]]
"""(schedule, steps) -> the steps + 1 levels to visit, from the noisiest to clean; a step leads from each to the next.

Raises ValueError for unsupported numbers of steps.
"""


def visit(schedule: Schedule, steps: int, timestep: Callable[[torch.Tensor], torch.Tensor]) -> list[Level]:
    """Level T, levels at any timesteps between, level 1 and the clean one. One step leads from level T to clean.

    Args:
        timestep: from shares of the way, evenly spread in (0, 1) and rising, to falling timesteps in (1, T), float64.

    Raises:
        ValueError: steps is below 1, or above 1 where level T is also level 1.
    """
    if steps < 1:
        raise ValueError(f"steps must be at least 1, not {steps}")
    if schedule.T == 1 < steps:
        raise ValueError(f"steps must be 1, as the schedule has no more noisy levels, not {steps}")
    if steps == 1:
        return [schedule.level(schedule.T), schedule.level(0)]
    inner = timestep(torch.linspace(0, 1, steps, dtype=torch.float64)[1:-1])
    return [schedule.level(at) for at in (schedule.T, *inner.tolist(), 1, 0)]
