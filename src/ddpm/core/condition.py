"""What a sample is asked to be, in the form that the network takes."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Cond:
    """A batch of conditions.

    Attributes:
        vector: (B, D), added to the time embedding: an embedded class label.
    """

    vector: torch.Tensor

    def cat(self, other: "Cond") -> "Cond":
        """The 2B conditions of this batch, then the other."""
        return Cond(torch.cat([self.vector, other.vector]))
