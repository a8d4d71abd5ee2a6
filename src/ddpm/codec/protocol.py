"""What a codec does."""

from typing import Protocol

import torch


class Codec(Protocol):
    """Between 8-bit images and what is diffused."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, *space, C) uint8 -> x0 (B, C', *space')."""
        ...

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C', *space') floats -> (B, *space, C) uint8."""
        ...
