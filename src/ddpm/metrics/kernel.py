"""The kernel distance between two sets of features (KID)."""

import torch

from ddpm.core.stream import Stream
from ddpm.metrics.estimate import Estimate, interval

BLOCK = 10_000
"""The largest set of samples within which all pairs are used."""
TILE = 1024


def estimate(x: torch.Tensor, y: torch.Tensor, counts: torch.Tensor, block: int = BLOCK) -> Estimate:
    """The unbiased squared maximum mean discrepancy with ``k(a, b) = (a·b / D + 1)³`` (Bińkowski et al. 2018).

    ``mean k(x_i, x_j) + mean k(y_i, y_j) - 2 mean k(x_i, y_j)`` with i ≠ j within a set: may be negative by chance if
    the distributions are the same. A set larger than ``block`` is split into the fewest equal blocks, randomly but
    reproducibly, and the first two means are over the pairs within blocks.

    With only x resampled, this is the mean of ``h_ij = k(x_i, x_j) - m_i - m_j + mean k(y, y)`` over pairs, where
    ``m_i = mean_j k(x_i, y_j)``. A replicate weights h_ij by ``c_i c_j n / (n - 1)``, without pairs of an image with
    itself, so that its expectation is the value.

    Args:
        x: (N, D), generated.
        y: (M, D), real.
        counts: (B, N), from `resamples`.

    Raises:
        ValueError: a set has fewer than two samples.
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(f"the kernel distance needs at least 2 samples in each set, not {len(x)} and {len(y)}")
    n, m = len(x), len(y)
    blocks = [(rows, y[rows].double()) for rows in _blocks(m, block)]
    to_y = torch.zeros(n, dtype=torch.float64)
    within_y = 0.0
    for rows, part in blocks:
        to_y += _sums(x, part) / m
        within_y += float(_pairs(part, torch.ones(1, len(rows), dtype=torch.float64))) / (m * (len(rows) - 1))
    weights = torch.cat([torch.ones(1, n), counts]).double()
    total = torch.zeros(len(weights), dtype=torch.float64)
    for rows in _blocks(n, block):
        c = weights[:, rows]
        among, twice = c.sum(1), c.square().sum(1)
        # sums over i ≠ j of c_i c_j times k_ij, times m_i + m_j, and times the constant
        pairs = _pairs(x[rows].double(), c)
        crossed = 2 * (among * (c @ to_y[rows]) - c.square() @ to_y[rows])
        total += (pairs - crossed + within_y * (among**2 - twice)) / (n * (len(rows) - 1))
    return interval(float(total[0]), total[1:] * n / (n - 1))


def _blocks(n: int, block: int) -> list[torch.Tensor]:
    """Split the numbers 0 … n - 1 into the fewest equal blocks; shuffled, as data is often sorted by class."""
    if n <= block:
        return [torch.arange(n)]
    order = Stream(0, "kernel blocks", n).permutation(n)
    return list(order.tensor_split(-(-n // block)))


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b.mT).div_(a.shape[1]).add_(1).pow_(3)


def _sums(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Sum the kernel over y for each x, (N,)."""
    return torch.cat([_kernel(part.double(), y).sum(1) for part in torch.split(x, TILE)])


def _pairs(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    """Sum ``c_i c_j k(x_i, x_j)`` over i ≠ j, (R,), for weights (R, s)."""
    total = torch.zeros(len(c), dtype=torch.float64)
    for start in range(0, len(x), TILE):
        k = _kernel(x[start : start + TILE], x[start:])
        k.diagonal().zero_()
        k[:, TILE:] *= 2  # for the symmetric pairs, which are not computed
        total += ((k @ c[:, start:].mT) * c[:, start : start + TILE].mT).sum(0)
    return total
