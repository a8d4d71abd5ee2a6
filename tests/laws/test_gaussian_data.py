"""Under the perfect denoiser of Gaussian data, samples have the data's mean and covariance.

Every step is then an affine map, so the distribution of the samples can be followed exactly: what is left is the
error of a finite number of steps, which falls as 1 / T. One test per solver also draws samples, of that distribution.
"""

from itertools import pairwise

import pytest
import torch

from ddpm.core.discrete import cosine, linear
from ddpm.sampling import DDIM, Ancestral, SampleNoise, fixed_large, rows_of, sample
from ddpm.sampling.grid import trailing, uniform

from .exact import Gaussian

MEAN = torch.tensor([0.4, -0.2], dtype=torch.float64)
COV = torch.tensor([[0.30, 0.15], [0.15, 0.20]], dtype=torch.float64)
DATA = Gaussian(MEAN, COV)
SOLVERS = {
    "fixed small": Ancestral(),
    "fixed large": Ancestral(fixed_large),
    "eta 0": DDIM(0.0),
    "eta 0.5": DDIM(0.5),
    "eta 1": DDIM(1.0),
}


def distribution(solver, grid) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean (2,) and covariance (2, 2) of the samples, exactly."""
    mean, cov = torch.zeros(2).double(), torch.eye(2).double() * grid[0].sigma ** 2
    # Five rows: the origin and the two axes without noise, then the origin with noise along each axis.
    x, z = torch.zeros(5, 2, 1).double(), torch.zeros(5, 2, 1).double()
    x[1:3, :, 0] = z[3:5, :, 0] = torch.eye(2)
    for now, next in pairwise(grid):
        moved, _ = solver.step(DATA, x, now, next, solver.init([now, next]), lambda: z)
        shift = moved[0, :, 0]
        linear_part, noise = (moved[1:3, :, 0] - shift).mT, (moved[3:5, :, 0] - shift).mT
        mean, cov = linear_part @ mean + shift, linear_part @ cov @ linear_part.mT + noise @ noise.mT
    return mean, cov


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_distribution_is_the_datas(solver):
    """The mean within 0.002; the covariance within 2 % of the larger variance at T = 1000, a quarter of T = 250's."""
    for make in [linear, cosine]:
        errors = []
        for T in (250, 1000):
            mean, cov = distribution(SOLVERS[solver], uniform(make(T), T))
            torch.testing.assert_close(mean, MEAN, rtol=0, atol=2e-3)
            errors.append(float((cov - COV).abs().max()))
        assert errors[1] < 0.02 * 0.3
        assert 3 < errors[0] / errors[1] < 5


@pytest.mark.parametrize("solver", SOLVERS)
def test_samples_are_like_the_data(solver):
    """20,000 samples of 50 steps: mean and covariance within five standard errors of what these steps leave exactly."""
    n, grid = 20_000, trailing(linear(1000), 50)
    noise = SampleNoise(rows_of(0, [0]), (n, 2, 1))
    x = sample(DATA, SOLVERS[solver], grid, lambda: noise()[0].double())[..., 0]
    mean, cov = distribution(SOLVERS[solver], grid)
    variance = cov.diagonal()
    assert ((x.mean(0) - mean).abs() < 5 * (variance / n).sqrt()).all()
    # the variance of a sample covariance (C_ij² + C_ii C_jj) / n
    error = ((cov**2 + variance[:, None] * variance) / n).sqrt()
    assert ((x.mT.cov() - cov).abs() < 5 * error).all()
