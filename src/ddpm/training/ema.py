"""Exponential moving average of the weights."""

import copy
from collections.abc import Iterable

import torch

from ddpm.core.model import Model


class EMA:
    """``average ← d · average + (1 - d) · weights`` after every step, with ``d = min(cap, (1 + n) / (10 + n))``.

    n counts the updates before this one. The rising decay forgets the random initial weights within a few steps: until
    the cap is reached, the average spans about a tenth of the run so far.

    Attributes:
        model: the averaged model, which is never trained.
        updates: the number of updates so far.
    """

    def __init__(self, model: Model, cap: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.cap = cap
        self.updates = 0

    def decay(self, n: int) -> float:
        """Return the decay of update n = 0, 1, …"""
        return min(self.cap, (1 + n) / (10 + n))

    @torch.no_grad()
    def update(self, weights: Iterable[torch.Tensor]) -> None:
        """Update the average with weights in the order of ``model.parameters()``."""
        average: list[torch.Tensor] = list(self.model.parameters())
        torch._foreach_lerp_(average, [w.detach() for w in weights], 1 - self.decay(self.updates))
        self.updates += 1
