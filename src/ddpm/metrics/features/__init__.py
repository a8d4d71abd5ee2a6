"""Feature extractors behind one interface."""

from typing import Protocol

import torch


class Extractor(Protocol):
    """A feature extractor. An image's features depend on its batch only by rounding, which `extract` rules out too.

    Attributes:
        name: the name on the command line.
        hash: the hash of the weights and the preprocessing, 16 hex digits.
        resize: a description of the resizing.
        dim: D.
    """

    name: str
    hash: str
    resize: str
    dim: int

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) uint8 of one (L), three (RGB) or four (RGBA) channels -> (B, D) float32, on the CPU."""
        ...
