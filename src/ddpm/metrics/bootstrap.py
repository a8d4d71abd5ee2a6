"""Bootstrap intervals: resampling of the generated images, with replacement."""

import math

import torch

from ddpm.core.stream import Stream
from ddpm.metrics.estimate import Estimate


def counts(n: int, replicates: int, seed: int = 0) -> torch.Tensor:
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
