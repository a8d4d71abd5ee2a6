"""Tweedie's formula against the gradient of densities written out."""

import math

import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from cases import cases
from ddpm.core import Cond, Denoised, Level
from ddpm.core.score import score

WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
MEANS = torch.tensor([[-0.6, 0.3], [0.5, 0.1]], dtype=torch.float64)
COVS = torch.tensor([[[0.30, 0.15], [0.15, 0.20]], [[0.05, -0.02], [-0.02, 0.10]]], dtype=torch.float64)
VARIANCE_PRESERVING = Level(10.0, math.cos(0.7), math.sin(0.7))
EXPLODING = Level(3.0, 1.0, 2.5)
SUB = Level(3.0, 0.8, 0.36)


def noisy(level: Level, part: slice) -> MixtureSameFamily:
    """The density of alpha · x0 + sigma · eps, for x0 from the Gaussians of a part of the mixture."""
    covs = level.alpha**2 * COVS[part] + level.sigma**2 * torch.eye(2, dtype=torch.float64)
    return MixtureSameFamily(Categorical(WEIGHTS[part]), MultivariateNormal(level.alpha * MEANS[part], covs))


def perfect(part: slice):
    """``E[x0 | x]``: each Gaussian's own, by the share that it has in x. Images are (B, 2, 1)."""

    def denoise(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        density = noisy(level, part)
        off = x[:, None, :, 0] - level.alpha * MEANS[part]
        gain = level.alpha * COVS[part] @ density.component_distribution.precision_matrix
        each = MEANS[part] + (gain @ off[..., None])[..., 0]
        share = (WEIGHTS[part].log() + density.component_distribution.log_prob(x[:, None, :, 0])).softmax(1)
        return Denoised((share[..., None] * each).sum(1)[..., None])

    return denoise


@cases("part", [slice(0, 1), slice(0, 2)])
def test_the_score_is_the_gradient_of_the_log_density(part):
    for level in [VARIANCE_PRESERVING, EXPLODING, SUB]:
        x = torch.randn(50, 2, 1, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
        (gradient,) = torch.autograd.grad(noisy(level, part).log_prob(x[..., 0]).sum(), x)
        torch.testing.assert_close(score(perfect(part), x.detach(), level), gradient, rtol=1e-10, atol=1e-10)


def test_a_level_for_each_image():
    one, other = VARIANCE_PRESERVING, Level(3.0, 0.9, math.sqrt(0.19))
    both = Level(*torch.tensor([(l.t, l.alpha, l.sigma) for l in (one, other)], dtype=torch.float64).unbind(1))
    x = torch.tensor([[[0.3], [0.1]], [[-0.4], [0.9]]], dtype=torch.float64)
    half = lambda x, level, cond=None: Denoised(x / 2)  # noqa: E731
    expected = torch.cat([score(half, x[:1], one), score(half, x[1:], other)])
    torch.testing.assert_close(score(half, x, both), expected, rtol=1e-12, atol=0)


def test_the_condition_is_passed_on():
    cond = Cond(torch.tensor([[0.25], [-0.5]]))
    denoise = lambda x, level, cond: Denoised(cond.vector[..., None].expand_as(x))  # noqa: E731
    x = torch.ones(2, 1, 3)
    expected = (0.5 * torch.tensor([0.25, -0.5])[:, None, None] - x) / 0.75
    torch.testing.assert_close(score(denoise, x, Level(1.0, 0.5, math.sqrt(0.75)), cond), expected)
