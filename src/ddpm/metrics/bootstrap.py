"""How far chance may have moved a number: resampling of the generated images, with replacement."""

import math

import torch

from ddpm.core.stream import Stream
from ddpm.metrics.estimate import Estimate


def counts(n: int, replicates: int, seed: int = 0) -> torch.Tensor:
    """How often each of n samples is taken in each resample of n (Efron 1979): a function of the arguments alone.

    Returns:
        (replicates, n) float32 whole numbers; each row sums to n.
    """
    stream = Stream(seed, "bootstrap", n)
    rows = [stream.integers(n, n).bincount(minlength=n) for _ in range(replicates)]
    return torch.stack(rows).float()


def interval(value: float, replicates: torch.Tensor, least: float = -math.inf, most: float = math.inf) -> Estimate:
    """The value with its 95 % interval ``value + (quantile(replicates) - mean(replicates))``.

    A resample takes some images twice and leaves a third out, which no fresh set of images does: that raises the
    Fréchet distance and lowers coverage in every replicate. So only the replicates' spread is taken, not their place.

    Args:
        value: on all samples.
        replicates: (B,), the same number on B resamples.
        least, most: ends of the range of the number; the interval is kept in it.
    """
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = (torch.quantile(replicates.double(), ends) - replicates.double().mean() + value).tolist()
    return Estimate(value=value, low=max(low, least), high=min(high, most))
