"""The inputs of guidance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from ddpm.core.condition import Conditions, select
from ddpm.core.model import Model
from ddpm.guidance.classifier import Direction


@dataclass(frozen=True)
class Guides:
    """The inputs of guidance, in addition to its settings.

    Attributes:
        away: raw conditions of one row, to guide away from; without them and ``weak`` there is no guidance.
        weak: the model to guide away from instead.
        towards: positions of rows of a batch -> the direction of a classifier for these; None without one.
        scales: (B,), the guidance scale of each row of a batch, which replaces the one in the settings.
        between: intermediate raw conditions of all rows, (n, …) each: guidance leads to them with the scale for labels,
            and from there to the full conditions with the other scale; None to guide in one stage.
    """

    away: Conditions | None = None
    weak: Model | None = None
    towards: Callable[[Sequence[int]], Direction] | None = None
    scales: torch.Tensor | None = None
    between: Conditions | None = None

    def rows(self, part: slice) -> "Guides":
        """The inputs for a part of the rows."""
        between, towards = None if self.between is None else select(self.between, part), self.towards
        shifted = None if towards is None else lambda at: towards([part.start + i for i in at])
        return replace(self, towards=shifted, between=between)


UNGUIDED = Guides()
