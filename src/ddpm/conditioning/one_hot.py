"""Classes as distributions."""

import torch
from torch import nn

from ddpm.core import Cond


class OneHot(nn.Module):
    """The distribution over classes that a label says: all on one class, or even, for the null label.

    What a classifier is to answer: for a loss that compares two distributions. Nothing here is learned.

    Attributes:
        null_label: the number of the null label, one past the last class.
    """

    table: torch.Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        if classes < 2:
            raise ValueError(f"classes is {classes}; there must be at least 2 to tell apart")
        self.null_label = classes
        even = torch.full((1, classes), 1 / classes)
        self.register_buffer("table", torch.cat([torch.eye(classes), even]), persistent=False)

    def forward(self, labels: torch.Tensor) -> Cond:
        """Labels (B,) int64 in 0 … classes -> probabilities (B, classes)."""
        return Cond(self.table[labels])

    encode = forward

    def null(self, n: int) -> Cond:
        """n times the even distribution."""
        return self.encode(torch.full((n,), self.null_label, device=self.table.device))

    def drop(self, labels: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Labels (B,) with the null label where the mask, (B,) bool, is set."""
        return labels.masked_fill(mask, self.null_label)
