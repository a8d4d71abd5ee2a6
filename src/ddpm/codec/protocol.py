"""The codec interface."""

from typing import Protocol

import torch


class Codec(Protocol):
    """A codec between 8-bit images and the diffused tensors."""

    @property
    def preserves_density(self) -> bool:
        """Whether x0 has each value v of an image once, as ``v / 127.5 - 1``: lossless and volume-preserving.

        Only then are the bits per dimension of x0 those of the image.
        """
        ...

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(B, *space, C) uint8 -> x0 (B, C', *space')."""
        ...

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C', *space') floats -> (B, *space, C) uint8."""
        ...
