"""Of x and y = A x, jointly Gaussian: under the perfect denoiser given y, samples are distributed as x given y."""

from dataclasses import dataclass

import torch

from cases import cases
from ddpm import build
from ddpm.core import Cond, Denoised, Level, discrete
from ddpm.guidance import ClassifierFree
from ddpm.sampling import sample
from ddpm.sampling.grid import trailing

from .every import between

MEAN = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
COV = torch.tensor([[0.40, 0.15, 0.05], [0.15, 0.30, -0.10], [0.05, -0.10, 0.25]], dtype=torch.float64)
A = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64)
GAIN = COV @ A.mT @ torch.linalg.inv(A @ COV @ A.mT)
LEFT = COV - GAIN @ A @ COV
"""The covariance of x given y = A x; that y is (1, 1) a row, and reaches the denoiser as the condition's image."""


@dataclass(frozen=True)
class Given:
    """``E[x0 | x_t, y]``: the denoiser of N(m + K (y - A m), C - K A C)."""

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        assert cond is not None
        assert cond.image is not None
        mean = MEAN + (cond.image[..., 0] - A @ MEAN) @ GAIN.mT
        noisy = level.alpha**2 * LEFT + level.sigma**2 * torch.eye(3).double()
        gain = level.alpha * LEFT @ torch.linalg.inv(noisy)
        return Denoised((mean + (x[..., 0] - level.alpha * mean) @ gain.mT)[..., None])


@cases("solver", ["ddim", "heun", "dpm++-2m", "unipc-3", "ancestral"])
@cases("guided", [False, True])
def test_samples_have_the_conditional_mean_and_covariance(solver: str, guided: bool) -> None:
    """2,000 samples of each of two conditions: within five standard errors, and 2 % for the finite steps.

    Guided by a label that means nothing, the same: both halves of the batch see the image.
    """
    n, generator = 2000, torch.Generator().manual_seed(0)
    y = torch.tensor([-0.7, 0.9]).double().repeat_interleave(n)[:, None, None]
    denoise = ClassifierFree(Given(), Cond(torch.ones(1, 2)), 3.0) if guided else Given()
    cond = Cond(torch.zeros(2 * n, 2), y)
    steps = 200 if solver in ("ddim", "ancestral") else 40
    x = sample(
        denoise,
        build.SOLVERS[solver](between),
        trailing(discrete.cosine(1000), steps),
        lambda: torch.randn(2 * n, 3, 1, generator=generator, dtype=torch.float64),
        cond,
    )[..., 0]
    assert ((x @ A.mT - y[..., 0]).abs().max()) < 5e-3  # y has no noise, so that A x is y
    for part, value in ((x[:n], -0.7), (x[n:], 0.9)):
        mean = MEAN + (value - A @ MEAN) @ GAIN.mT
        spread = LEFT.diagonal()
        assert ((part.mean(0) - mean).abs() < 5 * (spread / n).sqrt() + 2e-3).all()
        error = ((LEFT**2 + spread[:, None] * spread) / n).sqrt()
        assert ((part.mT.cov() - LEFT).abs() < 5 * error + 0.02 * spread.max()).all()
