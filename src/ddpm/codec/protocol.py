"""The codec interface."""

from collections.abc import Callable
from typing import Protocol

import torch

from ddpm.core.stream import RowStreams

MomentsOf = Callable[[torch.Tensor], torch.Tensor]
"""Images (B, *space, C) uint8 -> the mean and the log-variance of their x0, (B, 2 C', *space')."""


class Codec(Protocol):
    """A codec between 8-bit images and the diffused tensors."""

    def encode(self, images: torch.Tensor, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """(B, *space, C) uint8 -> x0 (B, C', *space').

        Args:
            hidden: (B, *space) bool, the pixels that are encoded as mid-grey; None for none.
        """
        ...

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C', *space') floats -> (B, *space, C) uint8."""
        ...

    @property
    def moments(self) -> MomentsOf | None:
        """What training stores in place of images, to encode them only once; None if it stores the images."""
        ...

    def sample(self, stored: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """x0 (B, C', *space') of a training batch: encoded images (B, *space, C) uint8, or drawn from their moments."""
        ...
