"""Images to be made larger."""

import torch
from torch import nn

from ddpm.core import Cond, LowResolution

TICKS = 1000
"""The strength of noise 1 on the scale that embeddings of time are made for."""


class ImageCondition(nn.Module):
    """The enlarged image beside x, and a vector for the noise that it was given (Ho et al. 2021, sec. 4.1).

    Attributes:
        strength: (B,) on the scale of 0 … 1000 -> (B, D).
    """

    def __init__(self, strength: nn.Module) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, low: LowResolution) -> Cond:
        """Images (B, C, *space) and their noise (B,) -> the two as a condition."""
        return Cond(self.vector(low.s), low.image)

    def vector(self, s: torch.Tensor) -> torch.Tensor:
        """What the network is told of the noise: (B,) -> (B, D)."""
        out: torch.Tensor = self.strength(TICKS * s)
        return out
