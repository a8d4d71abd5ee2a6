"""Noise levels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

Scalar = float | torch.Tensor
"""A coefficient: a Python float shared by all images, or a tensor of shape (B,) with one per image."""


@dataclass(frozen=True, slots=True)
class Level:
    """A noise level: ``x_t = alpha * x0 + sigma * eps``.

    If all images of a batch share a level, as on a grid, the three are Python floats. If each has its own level, as in
    training and in the adaptive solver, they are float64 tensors of shape (B,).

    Attributes:
        t: The time that is fed to the network.
        alpha: The signal scale, the square root of the original papers' ᾱ.
        sigma: The noise scale.
    """

    t: Scalar
    alpha: Scalar
    sigma: Scalar

    @property
    def snr(self) -> Scalar:
        """The signal-to-noise ratio alpha² / sigma² (Kingma et al. 2021, eq. 2); infinite at a clean level."""
        if not isinstance(self.sigma, torch.Tensor) and self.sigma == 0:
            return math.inf
        return (self.alpha / self.sigma) ** 2

    @property
    def clean(self) -> bool:
        """Whether the level is free of noise, for all images."""
        return bool((self.sigma == 0).all()) if isinstance(self.sigma, torch.Tensor) else self.sigma == 0

    def rows(self, images: torch.Tensor) -> "Level":
        """The levels of images by index, (n,) int64; floats are shared by every image."""
        return Level(*(v[images] if isinstance(v, torch.Tensor) else v for v in (self.t, self.alpha, self.sigma)))


def noise_to_signal(level: Level) -> float:
    """``sigma / alpha`` of a level of floats: 0 if clean, infinite without signal."""
    return float(level.sigma / level.alpha) if level.alpha else math.inf


def stacked(levels: Sequence[Level]) -> Level:
    """A level of float64 tensors (B,) on the CPU, from one level of floats per image."""
    parts = ([level.t for level in levels], [level.alpha for level in levels], [level.sigma for level in levels])
    return Level(*(torch.tensor(part, dtype=torch.float64) for part in parts))


def per_image(values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Values of each image, (B,), or one for all, (), as (B, 1, …, 1), which broadcasts over x (B, C, *space)."""
    return values.reshape(-1, *[1] * (x.ndim - 1))


def scale(coefficient: Scalar, x: torch.Tensor) -> torch.Tensor:
    """``coefficient * x``, with one coefficient per image, rounded from float64 only here.

    Args:
        coefficient: A float, or a tensor of shape (B,).
        x: (B, C, *space), with any number of spatial axes.
    """
    if isinstance(coefficient, torch.Tensor):
        coefficient = per_image(coefficient.to(x), x)
    return coefficient * x


def weighted_sum(a: Scalar, x: torch.Tensor, b: Scalar, y: torch.Tensor) -> torch.Tensor:
    """``a · x + b · y``, with coefficients as in :func:`scale`; floats need two passes over memory instead of three."""
    if isinstance(a, torch.Tensor) or isinstance(b, torch.Tensor):
        return scale(a, x) + scale(b, y)
    return torch.add(a * x, y, alpha=b)
