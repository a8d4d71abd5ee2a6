"""Class labels."""

import torch
from torch import nn

from ddpm.core import Cond
from ddpm.core.stream import RowStreams


class LabelEmbedding(nn.Module):
    """A learned vector for each class, and one for the null label, "no class in particular".

    Attributes:
        null_label: The number of the null label, one past the last class.
    """

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        if classes < 1:
            raise ValueError(f"classes is {classes}; it must be at least 1")
        self.null_label = classes
        self.table = nn.Embedding(classes + 1, width)

    def encode(self, raw: torch.Tensor) -> Cond:
        """Labels (B,) int64 in 0 … classes -> vectors (B, width)."""
        return Cond(self.table(raw), raw={"label": raw})

    forward = encode

    def null(self, n: int) -> Cond:
        """The condition of n null labels."""
        return self.encode(torch.full((n,), self.null_label, device=self.table.weight.device))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Labels (B,) with the null label where the mask, (B,) bool, is set.

        One network thus learns both the conditional and the unconditional model (Ho & Salimans 2022, alg. 1).
        """
        return raw.masked_fill(mask, self.null_label)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        """Labels, unchanged."""
        return raw
