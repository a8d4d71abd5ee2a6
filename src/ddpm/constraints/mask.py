"""Observation of some of the values."""

from dataclasses import dataclass

import torch

from ddpm.core.level import Scalar, scale


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """An operator that keeps the known values and sets others to zero: a projection, so ``A⁺ = A``.

    Attributes:
        known: bool, (1 or B, 1 or C, *space).
    """

    known: torch.Tensor

    def __post_init__(self) -> None:
        if self.known.dtype != torch.bool:
            raise ValueError(f"known must have dtype bool, not {self.known.dtype}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.where(self.known, 0)

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        return scale(1 / (1 + ridge), self.forward(y))
