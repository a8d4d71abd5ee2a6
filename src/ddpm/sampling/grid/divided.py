"""Timesteps between those of a coarse grid."""

from collections.abc import Sequence
from itertools import pairwise

EXPONENT = 1.5
"""That of the grid ``power``."""


def divided(timesteps: Sequence[float], parts: int, exponent: float = EXPONENT) -> list[float]:
    """Divide each step of falling timesteps, and the last one to 0, into parts evenly spread in t^(1 / exponent).

    As :class:`~ddpm.sampling.grid.Power` spreads all of [0, T] so, its grid of m · n steps is that of n steps divided
    into m parts, but for rounding. Timesteps below 1 are left out, as not every process has levels there.
    """
    found = []
    for now, next in pairwise([*timesteps, 0.0]):
        ends = now ** (1 / exponent), next ** (1 / exponent)
        inner = [((1 - k / parts) * ends[0] + k / parts * ends[1]) ** exponent for k in range(1, parts)]
        found += [now, *(timestep for timestep in inner if timestep >= 1)]
    return found
