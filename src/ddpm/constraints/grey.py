"""Observation of the brightness without the colour."""

from dataclasses import dataclass

import torch

from ddpm.core.level import Scalar, scale

REC_601 = (0.299, 0.587, 0.114)
"""Luma of red, green and blue (ITU-R BT.601), as in Pillow's ``convert("L")``."""


@dataclass(frozen=True, slots=True)
class Grey:
    """``y = Σ w_c x_c``, one channel; ``A⁺ y = w y / ‖w‖²`` and ``A Aᵀ = ‖w‖² I``.

    Attributes:
        weights: w, one for each channel; their sum is 1, so that white stays white.
    """

    weights: tuple[float, ...] = REC_601

    def __post_init__(self) -> None:
        if abs(sum(self.weights) - 1) > 1e-9:
            raise ValueError(f"the weights of the channels must add up to 1, not {sum(self.weights)}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *space) -> (B, 1, *space)."""
        if x.shape[1] != len(self.weights):
            raise ValueError(f"{len(self.weights)} weights for {x.shape[1]} channels; use one per channel")
        return (self._column(x) * x).sum(1, keepdim=True)

    def pinv(self, y: torch.Tensor, ridge: Scalar = 0.0) -> torch.Tensor:
        return scale(1 / (self.frame(y.ndim - 2) + ridge), self._column(y) * y)

    def frame(self, axes: int) -> float:
        return sum(w**2 for w in self.weights)

    def _column(self, like: torch.Tensor) -> torch.Tensor:
        """(C, 1, …), which meets (B, C, *space)."""
        return like.new_tensor(self.weights).reshape(-1, *[1] * (like.ndim - 2))
