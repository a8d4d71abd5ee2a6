"""The distribution of samples where every step is an affine map: exactly, with no sampling."""

from collections.abc import Sequence

import torch

from ddpm.core import Denoiser, Level
from ddpm.sampling import Constraint, Solver, sample


def distribution(
    denoise: Denoiser, solver: Solver, grid: Sequence[Level], size: int, constraint: Constraint | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (D,) and covariance (D, D) of samples (B, D, 1) of Gaussian data.

    Samples are then affine in the numbers that are drawn. So the whole sampler is run once on a batch of one row in
    which all of them are 0, the mean, and one row for each of them in which it alone is 1: how far it moves the sample.
    """
    zero, drawn = torch.zeros(1, size, 1, dtype=torch.float64), []

    def count() -> torch.Tensor:
        drawn.append(1)
        return zero

    sample(denoise, solver, grid, count, constraint=constraint)
    rows, timesteps = 1 + len(drawn) * size, iter(range(len(drawn)))

    def one() -> torch.Tensor:
        z, k = torch.zeros(rows, size, 1, dtype=torch.float64), next(timesteps)
        z[1 + k * size : 1 + (k + 1) * size, :, 0] = torch.eye(size)
        return z

    x = sample(denoise, solver, grid, one, constraint=constraint)[..., 0]
    moved = x[1:] - x[0]
    return x[0], moved.mT @ moved
