"""Numbers, such as a student's number of steps."""

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.core.stream import RowStreams
from ddpm.networks.embeddings import TICKS


class NumberEmbedding(nn.Module):
    """A vector for a number in an interval, such as the guidance scale of Meng et al. 2023, sec. 3.1.

    Args:
        embedding: (B,) on the scale of 0 … 1000 -> (B, D); zero at first in a student, whose teacher knows no number.
        low, high: the interval.
        gain: the factor of the embedding. One that starts as zero grows as much faster; with 1, the optimiser takes
            hundreds of steps to make it as large as that of a label.
    """

    def __init__(self, embedding: nn.Module, low: float, high: float, gain: float = 1.0) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"low is {low} and high is {high}; low must be below high")
        self.embedding = embedding
        self.low, self.high, self.gain = low, high, gain

    def encode(self, raw: torch.Tensor) -> Cond:
        """Numbers (B,) -> vectors (B, D)."""
        return Cond(self.gain * self.embedding(TICKS * (raw - self.low) / (self.high - self.low)))

    forward = encode

    def null(self, n: int) -> Cond:
        """The condition of n images at the lower end of the interval."""
        device = next(self.parameters()).device
        return self.encode(torch.full((n,), float(self.low), device=device))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Numbers, unchanged."""
        return raw

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Numbers, unchanged."""
        return raw
