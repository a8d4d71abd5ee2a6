"""Timesteps between those of a coarse grid."""

import math
from collections.abc import Sequence
from itertools import pairwise


def divided(timesteps: Sequence[float], steps: int) -> list[float]:
    """Divide the steps of falling timesteps, and the last one to 0, into about ``steps`` in all, dense at both ends.

    They are spread as ``T sin²(angle)`` is for even angles, T being the first (Chebyshev's nodes), as far as the given
    timesteps allow, each of which is kept: a trajectory bends most where images first take shape and where they become
    clean. Timesteps below 1 are left out, as not every process has levels there.
    """
    first, found = timesteps[0], []
    angles = [math.asin(math.sqrt(timestep / first)) for timestep in (*timesteps, 0.0)]
    passed = [round(steps * (1 - angle / angles[0])) for angle in angles]
    for timestep, (now, next), (before, after) in zip(timesteps, pairwise(angles), pairwise(passed), strict=True):
        parts = max(1, after - before)
        inner = [first * math.sin(now + (next - now) * k / parts) ** 2 for k in range(1, parts)]
        found += [timestep, *(one for one in inner if one >= 1)]
    return found
