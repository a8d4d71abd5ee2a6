"""Shared parts of the solvers of the probability flow.

With ``y = x / alpha`` and ``rho = sigma / alpha`` the flow of every process is ``dy / d rho = (y - x0) / rho``, that is
eps (Song et al. 2021, eq. 14).
"""

from collections.abc import Sequence
from itertools import pairwise

from ddpm.core import Level
from ddpm.core.level import noise_to_signal
from ddpm.sampling.solver import Between

PURE = 1e3
"""Above this noise-to-signal ratio a level counts as pure noise: the expected x0 hardly changes there, and formulas in
1 / alpha would amplify its small changes."""


def inner(now: Level, next: Level) -> bool:
    """Whether a step is between levels of both signal and noise, so that log-SNR is finite at both ends."""
    return noise_to_signal(now) < PURE and not next.clean


def evaluations(grid: Sequence[Level], calls: int) -> int:
    """Count the calls of a method that makes this many per step between levels of signal and noise, else one."""
    return sum(calls if inner(now, next) else 1 for now, next in pairwise(grid))


def part_way(between: Between, now: Level, next: Level, part: float) -> Level:
    """Return the level at a fraction of an inner step in log-SNR."""
    return between(noise_to_signal(now) ** (1 - part) * noise_to_signal(next) ** part)
