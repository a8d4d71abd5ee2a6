"""Estimates with their confidence intervals."""

import math

from ddpm.system.record import Strict


class Estimate(Strict):
    """A value with its 95 % confidence interval.

    Attributes:
        value: the value on all samples.
        low, high: the interval from random variation of the generated images; the reference is fixed.
    """

    value: float
    low: float
    high: float


def wilson(share: float, n: int) -> Estimate:
    """Return a proportion of n with its 95 % interval (Wilson 1927), which holds for few successes or none too.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"a proportion needs at least 1 image, not {n}")
    z = 1.959963984540054
    centre, scale = share + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(value=share, low=max(0.0, (centre - half) / scale), high=min(1.0, (centre + half) / scale))
