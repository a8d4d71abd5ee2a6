"""Exponential moving average of the weights."""

import copy
from collections.abc import Iterable

import torch

from ddpm.core.model import Model
from ddpm.training.sharding import gathered, own


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
        self._average: list[torch.Tensor] = list(self.model.parameters())

    def divide(self, weights: Iterable[torch.Tensor], main: bool) -> None:
        """Divide the average among processes like these weights, which equal it; keep its model off the device.

        The model of the ``main`` process is filled by :meth:`gather`, those of the others have no memory.
        """
        self._average = [w.detach().clone() for w in weights]
        self.model.to("cpu" if main else "meta")

    def decay(self, n: int) -> float:
        """Return the decay of update n = 0, 1, …"""
        return min(self.cap, (1 + n) / (10 + n))

    @torch.no_grad()
    def update(self, weights: Iterable[torch.Tensor]) -> None:
        """Update the average with weights in the order of ``model.parameters()``."""
        average = [own(a) for a in self._average]
        torch._foreach_lerp_(average, [own(w.detach()) for w in weights], 1 - self.decay(self.updates))
        self.updates += 1

    def tensors(self) -> dict[str, torch.Tensor]:
        """The averaged weights, divided or not, and the model's buffers, by name."""
        names = [name for name, _ in self.model.named_parameters()]
        return dict(self.model.state_dict()) | dict(zip(names, self._average, strict=True))

    @torch.no_grad()
    def gather(self, main: bool) -> None:
        """Copy a divided average to the model of the main process. All processes must call this together."""
        found = gathered(self.tensors(), main)
        for name, p in self.model.named_parameters() if main else ():
            p.copy_(found[name])
