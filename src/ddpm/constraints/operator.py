"""The protocol of linear observations."""

from typing import Protocol

import torch

from ddpm.core.level import Scalar


class Operator(Protocol):
    """A linear map A of images, ``y = A x0``, with its pseudo-inverse. Both keep the dtype."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``A x`` of x (B, C, *space); the shape of y is the operator's own."""
        ...

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        """``A⁺ y``, (B, C, *space); with a ridge ``Aᵀ (A Aᵀ + ridge I)⁻¹ y``, which tends to it as the ridge falls.

        That minimises ``‖A x - y‖² + ridge ‖x‖²``: along a singular vector of value s it is ``s / (s² + ridge)``.
        A ridge is a float, or a float64 tensor (B,) on the CPU, one for each image.
        """
        ...


class Tight(Operator, Protocol):
    """An operator of a single singular value: ``A Aᵀ = c I``, so ``A⁺ = Aᵀ / c``."""

    def frame(self, axes: int) -> float:
        """c, for images with this many spatial axes."""
        ...
