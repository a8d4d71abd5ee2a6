"""Where samples are affine in their noise, the exact distance is known at every scale: the search finds its minimum.

Two classes are Gaussian. The denoiser of each is a formula, either perfect or blurred: it takes the class's mean for
nearer to the other's, as a network with little training does, and guidance away from no class moves it back.
"""

import math
from dataclasses import dataclass

import pytest
import torch

from ddpm.config.guidance import GuidanceConfig
from ddpm.core import Cond, Denoised, Level, discrete
from ddpm.evaluation.guidance_search import FINEST, search
from ddpm.guidance import ClassifierFree
from ddpm.metrics import frechet, manifold
from ddpm.metrics.estimate import interval, resamples
from ddpm.records.guidance import GuidanceTrial, best, scale_of
from ddpm.sampling import DDIM, sample
from ddpm.sampling.grid import trailing

from .affine import distribution
from .exact import Gaussian

MEAN = torch.tensor([0.5, 0.2], dtype=torch.float64)
COV = torch.tensor([[0.06, 0.02], [0.02, 0.05]], dtype=torch.float64)
"""Of the first class; the second one has the opposite mean."""
OWN = GuidanceConfig(scale=1.5)
N = 600


@dataclass(frozen=True)
class Blurred:
    """The Gaussian denoiser of the class in the condition, its mean drawn towards that of both, 0.

    Attributes:
        sharpness: the share of the mean that is left; 1 for the perfect denoiser.
    """

    sharpness: float

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        assert cond is not None
        assert cond.vector is not None
        towards = self.sharpness * cond.vector.double()[..., None] * MEAN[:, None]  # (B, 2, 1); 0 without a class
        gained = Gaussian(torch.zeros(2).double(), COV)(x - level.alpha * towards, level)
        return Denoised(towards + gained.x0)


def of(sign: torch.Tensor) -> Cond:
    """(B,) of -1, 1 for the classes and 0 for none."""
    return Cond(sign[:, None])


def guided(sharpness: float, scale: float) -> ClassifierFree:
    return ClassifierFree(Blurred(sharpness), of(torch.zeros(1)), scale)


GRID = trailing(discrete.cosine(1000), 40)
REAL = frechet.Normal(torch.zeros(2).double(), torch.linalg.cholesky(COV + MEAN[:, None] * MEAN).mT.contiguous())
"""The Gaussian with the moments of both classes together."""


def exact(sharpness: float, scale: float) -> float:
    """The distance of the Gaussian with the moments of all samples, with no sampling."""

    def towards(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return guided(sharpness, scale)(x, level, of(torch.ones(len(x))))

    mean, cov = distribution(towards, DDIM(), GRID, 2)  # the other class is its mirror image
    factor = torch.linalg.cholesky(cov + mean[:, None] * mean).mT
    return frechet.distance(frechet.Normal(torch.zeros(2).double(), factor), REAL)


def searched(sharpness: float, first: GuidanceConfig | None) -> list[GuidanceTrial]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(N, 2, 1, generator=generator, dtype=torch.float64)
    signs = torch.tensor([1.0, -1.0]).repeat(N // 2)
    real = (
        signs.double()[:, None] * MEAN + torch.randn(N, 2, generator=generator).double() @ torch.linalg.cholesky(COV).mT
    )
    counts, known = resamples(N, 100), []

    def measure(guidance: GuidanceConfig | None) -> GuidanceTrial:
        denoise = guided(sharpness, scale_of(guidance))
        x = sample(denoise, DDIM(), GRID, lambda: noise, of(signs))[..., 0]
        distance, spread = frechet.distance(frechet.fit(x), REAL), frechet.replicates(x, REAL, counts)
        known.append((distance, spread))
        precision, recall, _, coverage = manifold.estimate(x, real, counts)
        return GuidanceTrial(
            guidance=guidance,
            frechet=interval(distance, spread),
            change=interval(distance - known[0][0], spread - known[0][1]),
            precision=precision,
            recall=recall,
            coverage=coverage,
            seconds=0.0,
        )

    return search(measure, first, None, labels=True)


@pytest.mark.parametrize(("sharpness", "first"), [(0.3, OWN), (0.5, OWN), (0.7, None)])
def test_it_finds_the_scale_that_minimises_the_exact_distance(sharpness: float, first: GuidanceConfig | None) -> None:
    # the distance falls up to one scale and rises from there
    near = min(range(0, 106, 10), key=lambda k: exact(sharpness, 1.02**k))
    lowest = min((1.02**k for k in range(max(0, near - 9), near + 10)), key=lambda scale: exact(sharpness, scale))
    assert 1.2 < lowest < 6, "the minimum is inside"
    found = searched(sharpness, first)
    scale = scale_of(best(found).guidance)
    # half a step of the finest scales, the sampling error of N samples, and the rounding to two digits
    assert abs(math.log(scale / lowest)) < math.log(FINEST) / 2 + 0.06
    trial = best(found)
    assert trial.change.high < 0
    change = exact(sharpness, scale) - exact(sharpness, scale_of(first))
    assert trial.change.low < change < trial.change.high


def test_a_perfect_denoiser_needs_none() -> None:
    assert exact(1.0, 1.0) == pytest.approx(0, abs=1e-3)
    assert best(searched(1.0, None)).guidance is None
    assert scale_of(best(searched(1.0, OWN)).guidance) <= FINEST
