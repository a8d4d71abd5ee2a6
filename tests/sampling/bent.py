"""A denoiser whose belief bends, and the same noise-to-signal ratios in three processes."""

import torch

from ddpm.core import Cond, Denoised, Level

PROCESSES = {
    "preserving": lambda rho: Level(0.0, (1 + rho**2) ** -0.5, rho * (1 + rho**2) ** -0.5),
    "exploding": lambda rho: Level(0.0, 1.0, rho),
    "straight": lambda rho: Level(0.0, 1 / (1 + rho), rho / (1 + rho)),
}


def believed(y: torch.Tensor, rho: float) -> torch.Tensor:
    """x0 behind ``y = x0 + rho · eps``."""
    return 0.6 * torch.tanh(y / (0.5 + rho)) + 0.1


def bent(x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
    return Denoised(believed(x / level.alpha, level.sigma / level.alpha))


def normal(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(level: Level) -> torch.Tensor:
    return level.sigma * normal(0)
