"""The codec interface."""

from typing import Protocol

import torch


class Codec(Protocol):
    """A codec between 8-bit images and the diffused tensors."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, *space, C) uint8 -> x0 (B, C', *space')."""
        ...

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C', *space') floats -> (B, *space, C) uint8."""
        ...
