"""Estimates with their confidence intervals: of proportions, and by resampling the generated images."""

import math

import torch

from ddpm.core.stream import Stream
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

    def above(self, value: float) -> "Estimate":
        """The estimate of a sum with a known value."""
        return Estimate(value=value + self.value, low=value + self.low, high=value + self.high)


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


def resamples(n: int, replicates: int, seed: int = 0) -> torch.Tensor:
    """Count how often each of n samples is drawn in each resample (Efron 1979): a function of the arguments only.

    Returns:
        (replicates, n) float32 whole numbers; each row sums to n.
    """
    stream = Stream(seed, "bootstrap", n)
    rows = [stream.integers(n, n).bincount(minlength=n) for _ in range(replicates)]
    return torch.stack(rows).float()


def interval(value: float, replicates: torch.Tensor, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """Return the value with its 95 % interval ``value + (quantile(replicates) - mean(replicates))``.

    Unlike a fresh set of images, a resample repeats some and omits a third, which raises the Fréchet distance and
    lowers coverage in every replicate. So only the spread of the replicates is used, not their location.

    Args:
        value: the metric on all samples.
        replicates: (B,), the metric on B resamples.
        least, most: the range of the metric, to which the interval is clipped.
    """
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = (torch.quantile(replicates.double(), ends) - replicates.double().mean() + value).tolist()
    return Estimate(value=value, low=max(low, least), high=min(high, most))
