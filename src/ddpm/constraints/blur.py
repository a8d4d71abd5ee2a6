"""Observation of a blurred image."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from ddpm.core.level import Scalar, per_image


@dataclass(frozen=True, slots=True)
class Blur:
    """Gaussian blur along every spatial axis, the image mirrored at its edges (d c b a | a b c d | d c b a).

    Along an axis of n the cosines ``cos(π k (i + 1/2) / n)`` of the DCT-II are its eigenvectors, and with the kernel g

        s_k = Σ_m g_m cos(π k m / n)

    its singular values, so A is symmetric and known by its products of s. Those below ``least`` count as zero, in A as
    in A⁺: these frequencies are left to the model, and A differs from the full blur by no more than that. A⁺ amplifies
    errors of y by up to ``1 / least``; rounding to 8 bits is one, of standard deviation 0.0023 in [-1, 1].

    Attributes:
        sigma: standard deviation of the kernel, in pixels.
        least: in (0, 1); the largest singular value is 1.
    """

    sigma: float
    least: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma must be above 0 and finite, not {self.sigma}")
        if not 0 < self.least < 1:
            raise ValueError(f"least must be between 0 and 1, not {self.least}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._filtered(x, self._values(x))

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        s = self._values(y)
        if isinstance(ridge, torch.Tensor):
            ridge = per_image(ridge, y)
        return self._filtered(y, (s / (s**2 + ridge)).where(s > 0, 0))

    def _values(self, x: torch.Tensor) -> torch.Tensor:
        """(*space) float64 on the CPU: the product of the singular values of all axes, or 0."""
        s = torch.ones((), dtype=torch.float64)
        for size in x.shape[2:]:
            s = s[..., None] * _spectrum(self.sigma, size)
        return s.where(s >= self.least, 0)

    def _filtered(self, x: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
        bases = [_cosines(size).to(x) for size in x.shape[2:]]
        for axis, basis in enumerate(bases, 2):
            x = (x.movedim(axis, -1) @ basis).movedim(-1, axis)
        x = gains.to(x) * x
        for axis, basis in enumerate(bases, 2):
            x = (x.movedim(axis, -1) @ basis.mT).movedim(-1, axis)
        return x


@lru_cache(maxsize=16)
def _cosines(size: int) -> torch.Tensor:
    """The orthonormal DCT-II, (size, size) float64, a column for each frequency."""
    place = torch.arange(size, dtype=torch.float64)
    columns = torch.cos(math.pi / size * (place[:, None] + 0.5) * place)
    basis: torch.Tensor = columns / columns.square().sum(0).sqrt()
    return basis


@lru_cache(maxsize=16)
def _spectrum(sigma: float, size: int) -> torch.Tensor:
    """Singular values along one axis, (size,) float64: a sampled Gaussian's, of sum 1, cut off at 8 sigma."""
    m = torch.arange(-math.ceil(8 * sigma), math.ceil(8 * sigma) + 1, dtype=torch.float64)
    kernel = (-(m**2) / (2 * sigma**2)).exp()
    frequency = torch.arange(size, dtype=torch.float64)
    return torch.cos(math.pi / size * frequency[:, None] * m) @ (kernel / kernel.sum())
