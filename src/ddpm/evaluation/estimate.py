"""A number and how far chance may have moved it."""

from typing import NamedTuple


class Estimate(NamedTuple):
    """A value with the ends of its 95 % bootstrap interval.

    Attributes:
        value: on all samples.
        low, high: the interval over resamples of the generated images; the reference is held fixed.
    """

    value: float
    low: float
    high: float
