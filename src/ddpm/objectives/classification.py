"""How a classifier of noised images is measured: its loss, and how often it is right."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ddpm.core import Cond, Level, Network, Parameterisation
from ddpm.core.gaussian import diffuse

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(logits (B, K), q (B, K)) -> (B,); q is the distribution of the class, one-hot where it is known."""


def cross_entropy(logits: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """``-sum_y q(y) log p(y | x_t)``, in nats (Dhariwal & Nichol 2021, sec. 4)."""
    return -(q * logits.log_softmax(1)).sum(1)


def correct(logits: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """1 where the likeliest class is the right one, 0 where not: its mean is the accuracy. Has no gradient."""
    return (logits.argmax(1) == q.argmax(1)).float()


@dataclass(frozen=True, slots=True)
class Classification:
    """A measure of a classifier at ``x_t = alpha · x0 + sigma · eps``, as a loss; the condition's vector is q.

    Attributes:
        parameterisation: how the network is asked; of its prediction and variance nothing is used.
        measure: of its output.
    """

    parameterisation: Parameterisation
    measure: Measure = cross_entropy

    def __call__(
        self,
        net: Network,
        x0: torch.Tensor,
        eps: torch.Tensor,
        now: Level,
        next: Level | None = None,
        cond: Cond | None = None,
    ) -> torch.Tensor:
        if cond is None or cond.vector is None:
            raise ValueError("a classifier is held against labels; give the condition that says them")
        return self.measure(self.parameterisation.ask(net, diffuse(x0, eps, now), now).output, cond.vector)
