"""What the solvers of the probability flow share.

With ``y = x / alpha`` and ``rho = sigma / alpha`` the flow of every process is ``dy / d rho = (y - x0) / rho``, that is
eps (Song et al. 2021, eq. 14).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

from ddpm.core import Level
from ddpm.sampling.solver import Between

PURE = 1e3
"""From this noise-to-signal ratio on, a level counts as pure noise. What is believed of x0 hardly changes there, and
formulas in 1 / alpha would magnify the little it does."""


def ratio(level: Level) -> float:
    """Noise to signal, ``sigma / alpha``, for a level of floats: 0 if clean, infinite without signal."""
    return float(level.sigma / level.alpha) if level.alpha else math.inf


def inner(now: Level, next: Level) -> bool:
    """Whether a step is between levels of both signal and noise, so that log-SNR is finite at both ends."""
    return ratio(now) < PURE and not next.clean


def evaluations(grid: Sequence[Level], calls: int) -> int:
    """Of a method that asks so often in a step between levels of signal and noise, and once in any other."""
    return sum(calls if inner(now, next) else 1 for now, next in pairwise(grid))


def part_way(between: Between, now: Level, next: Level, part: float) -> Level:
    """The level that is a part of the way in log-SNR, of an inner step."""
    return between(ratio(now) ** (1 - part) * ratio(next) ** part)
