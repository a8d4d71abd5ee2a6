"""Digits whose perfect denoiser is a formula, and how far samples are from where they should be."""

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits

from ddpm.core import Cond, Denoised, Level
from ddpm.sampling import Solver, steps

STD = 0.05


class Error(NamedTuple):
    """Of samples, from the exact solutions that have the same starts.

    Attributes:
        median, mean: over the images, of the root mean square of the difference.
        flipped: share of the images that ended at another digit, which dominate the mean.
    """

    median: float
    mean: float
    flipped: float

    def __str__(self) -> str:
        return f"{self.median:.4f} / {self.mean:.4f} / {self.flipped:.1%}"


Rows = dict[str, dict[int, Error]]
"""Name of a solver and grid -> evaluations -> error."""


class Digits:
    """The perfect denoiser of digits with a little noise of their own; counts how often it is asked."""

    def __init__(self) -> None:
        pixels = torch.from_numpy(load_digits().data).double()
        self.centres = pixels / 8 - 1  # 0 … 16 -> [-1, 1]
        self.bias = -self.centres.square().sum(1) / 2
        self.asked = 0
        self.images = 0

    def __call__(self, x: torch.Tensor, level: Level, cond: Cond | None = None) -> Denoised:
        """(B, 1, 8, 8) at a level of floats."""
        self.asked += 1
        self.images += len(x)
        flat = x.flatten(1).double()
        var = level.alpha**2 * STD**2 + level.sigma**2
        # -|x - alpha c|² / (2 var), but for what all centres have in common
        logits = torch.addmm(self.bias * (level.alpha**2 / var), flat, self.centres.mT, alpha=level.alpha / var)
        mean = logits.softmax(1) @ self.centres
        x0 = mean + level.alpha * STD**2 / var * (flat - level.alpha * mean)
        return Denoised(x0.reshape(x.shape).to(x))

    def nearest(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1, 8, 8) -> the digit that each image is a noisy copy of, (B,)."""
        return torch.cdist(x.flatten(1).double(), self.centres).argmin(1)

    def error(self, found: torch.Tensor, end: torch.Tensor) -> Error:
        off = (found - end).flatten(1).double().square().mean(1).sqrt()
        flipped = (self.nearest(found) != self.nearest(end)).double().mean()
        return Error(float(off.median()), float(off.mean()), float(flipped))


def starts(seed: int, n: int = 256) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def solve(denoise: Digits, solver: Solver, grid: list[Level], noise: torch.Tensor) -> torch.Tensor:
    *_, last = steps(denoise, solver, grid, grid[0].sigma * noise, lambda: noise)
    return last.x
