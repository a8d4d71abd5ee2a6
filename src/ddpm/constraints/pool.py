"""Observation of the averages of blocks."""

from dataclasses import dataclass

import torch

from ddpm.core.level import Scalar, scale


@dataclass(frozen=True, slots=True)
class AveragePool:
    """The mean of each block of ``factor^d`` values, d the spatial axes; ``A⁺`` repeats it over the block.

    ``A Aᵀ = factor^-d I``. The size must be a multiple of the factor along each axis.

    Attributes:
        factor: the side of a block.
    """

    factor: int

    def __post_init__(self) -> None:
        if self.factor < 1:
            raise ValueError(f"factor must be at least 1, not {self.factor}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) -> (B, C, H / factor, W / factor), likewise with other spatial axes."""
        if any(size % self.factor for size in x.shape[2:]):
            raise ValueError(f"size {tuple(x.shape[2:])} is not divisible by the factor {self.factor}")
        for axis in range(2, x.ndim):
            # H -> (H / factor, factor), of which the mean
            x = x.reshape(*x.shape[:axis], -1, self.factor, *x.shape[axis + 1 :]).mean(axis + 1)
        return x

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        c = self.frame(y.ndim - 2)
        for axis in range(2, y.ndim):
            y = y.repeat_interleave(self.factor, axis)
        return scale(c / (c + ridge), y)

    def frame(self, axes: int) -> float:
        return float(self.factor) ** -axes
