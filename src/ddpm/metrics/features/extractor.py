"""What every network that looks at images for a score is like."""

from typing import Protocol

import torch


class Extractor(Protocol):
    """Images to features. Those of an image depend on its batch by rounding alone, and `extract` sees to that, too.

    Attributes:
        name: as the command line names it.
        hash: of the weights and of all that is done to an image before them, 16 hex digits.
        resize: what is done to an image before them, in words.
        dim: D.
    """

    name: str
    hash: str
    resize: str
    dim: int

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 of one (L), three (RGB) or four (RGBA) channels -> (B, D) float32, on the CPU."""
        ...
