"""Grids that rise again."""

from collections.abc import Sequence

from ddpm.core import Level


def repaint(levels: Sequence[Level], jump: int, times: int) -> list[Level]:
    """Repeat every stretch of ``jump`` steps several times (Lugmayr et al. 2022, sec. 4.2 and app. B).

    Counted from the clean level, the grid rises from 1, 1 + jump, 1 + 2·jump … by ``jump`` each, ``times - 1`` times.
    The original adds its noise in ``jump`` forward steps; here it is one, which is the same in distribution.

    Args:
        levels: any falling grid of n steps to the clean level.
        jump: the number of steps to rise, 1 … n - 1; the paper uses 10 of 250.
        times: how often each stretch is taken; the paper uses 10, and 1 changes nothing.

    Raises:
        ValueError: jump or times is out of range.
    """
    top = len(levels) - 1
    if not 1 <= jump < top:
        raise ValueError(f"jump must be between 1 and {top - 1}, one less than the grid's steps, not {jump}")
    if times < 1:
        raise ValueError(f"times must be at least 1, not {times}")
    timesteps: list[int] = []
    for timestep in range(top, -1, -1):
        timesteps.append(timestep)
        if timestep and (timestep - 1) % jump == 0 and timestep + jump <= top:
            timesteps += [*range(timestep + jump, timestep - 1, -1)] * (times - 1)
    return [levels[top - timestep] for timestep in timesteps]
