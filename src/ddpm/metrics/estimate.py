"""A number and how far chance may have moved it."""

import math

from ddpm.system.record import Strict


class Estimate(Strict):
    """A value with the ends of its 95 % interval.

    Attributes:
        value: on all samples.
        low, high: what chance in drawing the generated images explains; the reference is held fixed.
    """

    value: float
    low: float
    high: float


def wilson(share: float, n: int) -> Estimate:
    """A share of n with its 95 % interval (Wilson 1927), which is right for few and for none.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError("a share needs at least one image")
    z = 1.959963984540054
    centre, scale = share + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(value=share, low=max(0.0, (centre - half) / scale), high=min(1.0, (centre + half) / scale))
