"""Grids that are dense at both ends."""

import math
from dataclasses import dataclass

import torch

from ddpm.core import Level, Schedule
from ddpm.sampling.grid.grid import visit

TERMS = 54
"""The number of terms of a series that decreases at least as powers of 1/2: the rest is below float64's precision."""
NEWTON = 5
"""The number of steps to float64's precision; for a = 0.6 the start is within 9 %, and each step squares the error."""


@dataclass(frozen=True, slots=True)
class Beta:
    """Timesteps at evenly spread quantiles of a Beta(a, a) distribution over [1, T] (Lee et al. 2024, "Beta Sampling is
    All You Need").

    Diffusers takes the quantiles of sigma / alpha instead, over its range.

    Attributes:
        a: from 1, which is uniform, down to 0.5; the smaller, the denser both ends.
    """

    a: float = 0.6

    def __post_init__(self) -> None:
        if not 0.5 <= self.a <= 1:
            raise ValueError(f"a must be between 0.5 and 1, not {self.a}")

    def __call__(self, schedule: Schedule, steps: int) -> list[Level]:
        return visit(schedule, steps, lambda share: 1 + (schedule.T - 1) * quantile(1 - share, self.a))


def quantile(p: torch.Tensor, a: float) -> torch.Tensor:
    """Where the distribution function of Beta(a, a), 0 < a <= 1, is p (n,) float64 in (0, 1).

    For x up to 1/2, and by symmetry for the rest, with y = x^a and (b)_n = b (b + 1) … (b + n - 1),

        I_x(a, a) = y / B(a, a) · sum_n (1 - a)_n / n! · x^n / (a + n)     (DLMF 8.17.7, 15.2.1),

    which is solved for y by Newton's method. As ``dI / dy = (1 - x)^(a - 1) / (a B)`` never falls, I is convex in y,
    and from where its tangent at 0 meets p the steps go down to the root without passing it.
    """
    n = torch.arange(TERMS, dtype=torch.float64)
    coefficients = torch.cat([torch.ones_like(n[:1]), ((n[1:] - a) / n[1:]).cumprod(0)]) / (a + n)
    complete = math.exp(2 * math.lgamma(a) - math.lgamma(2 * a))
    tail = torch.minimum(p, 1 - p)
    y = (a * complete * tail).clamp(max=0.5**a)
    for _ in range(NEWTON):
        x = y ** (1 / a)
        # (n, 1) to the powers (TERMS,) -> (n, TERMS), summed
        below = y / complete * (x[:, None] ** n @ coefficients)
        y = y - (below - tail) * a * complete * (1 - x) ** (1 - a)
    x = y ** (1 / a)
    return torch.where(p <= 0.5, x, 1 - x)
