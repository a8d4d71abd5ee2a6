"""Denoisers that are formulas, as data is Gaussian, a mixture of Gaussians, or one image; networks that say them."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Denoised, Denoiser, Level, NetworkDenoiser, Parameterisation

Matrix = torch.Tensor


def meeting(level: Level, x: torch.Tensor) -> Level:
    """A level whose coefficients, where each image has its own, are (B, 1, …) and meet x."""
    parts = (level.t, level.alpha, level.sigma)
    return Level(*(v.to(x).reshape(-1, *[1] * (x.ndim - 1)) if isinstance(v, torch.Tensor) else v for v in parts))


@dataclass(frozen=True)
class Point:
    """Always the true image, (B, C, *space)."""

    x0: torch.Tensor

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        return Denoised(self.x0.to(x).expand_as(x))


@dataclass(frozen=True)
class Gaussian:
    """The perfect denoiser of N(mean, cov) data of shape (B, D, 1)."""

    mean: torch.Tensor
    cov: Matrix

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """``E[x0 | x_t] = m + alpha C (alpha² C + sigma² I)⁻¹ (x_t - alpha m)``."""
        level, mean = meeting(level, x), self.mean[:, None]
        noisy = level.alpha**2 * self.cov + level.sigma**2 * torch.eye(len(self.mean)).to(self.cov)
        gain = level.alpha * self.cov @ torch.linalg.inv(noisy)
        return Denoised(mean + gain @ (x - level.alpha * mean))

    def flow(self, x: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
        """Where the probability flow takes x, exactly: every axis of the covariance is rescaled to its new spread."""
        spread, axes = torch.linalg.eigh(self.cov)

        def std(level: Level) -> torch.Tensor:
            return (level.alpha**2 * spread + level.sigma**2).sqrt()

        along = (x[..., 0] - now.alpha * self.mean) @ axes
        return (next.alpha * self.mean + (along * std(next) / std(now)) @ axes.mT)[..., None]


@dataclass(frozen=True)
class Mixture:
    """The perfect denoiser of numbers that are, each by itself, drawn from a mixture of Gaussians on the line."""

    weights: torch.Tensor
    means: torch.Tensor
    stds: torch.Tensor

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        level = meeting(level, x[..., None])
        var = level.alpha**2 * self.stds**2 + level.sigma**2
        off = x[..., None] - level.alpha * self.means
        share = (self.weights.log() - 0.5 * var.log() - off**2 / (2 * var)).softmax(-1)
        each = self.means + level.alpha * self.stds**2 / var * off
        return Denoised((share * each).sum(-1))

    def below(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        """The probability of less than x at a level."""
        std = (level.alpha**2 * self.stds**2 + level.sigma**2).sqrt()
        return (self.weights * torch.special.ndtr((x[..., None] - level.alpha * self.means) / std)).sum(-1)

    def flow(self, x: torch.Tensor, now: Level, next: Level) -> torch.Tensor:
        """Where the probability flow takes x, exactly: on the line, the probability below it stays. By bisection."""
        wanted, low, high = self.below(x, now), torch.full_like(x, -20), torch.full_like(x, 20)
        for _ in range(60):
            middle = (low + high) / 2
            less = self.below(middle, next) < wanted
            low, high = torch.where(less, middle, low), torch.where(less, high, middle)
        return (low + high) / 2


def told(net, parameterisation: Parameterisation) -> Denoiser:
    """A network's denoiser. In ``net.level`` it finds the level, meeting x, as t in float32 says it to few digits."""
    denoise = NetworkDenoiser(net, parameterisation)

    def ask(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        net.level = meeting(level, x)
        return denoise(x, level, cond)

    return ask
