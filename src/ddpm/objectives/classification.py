"""The loss of a classifier of noised images."""

from dataclasses import dataclass

import torch

from ddpm.core import Cond, Level, Network, Parameterisation
from ddpm.core.gaussian import diffuse


@dataclass(frozen=True, slots=True)
class CrossEntropy:
    """``-sum_y q(y) log p(y | x_t)``, in nats, at ``x_t = alpha · x0 + sigma · eps`` (Dhariwal & Nichol 2021, sec. 4).

    The network's output are logits (B, K), and the condition's vector is q, (B, K): one-hot where the class is known.

    Attributes:
        parameterisation: how the network is asked; of its prediction and variance nothing is used.
    """

    parameterisation: Parameterisation

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
            raise ValueError("a classifier learns from labels; give the condition that says them")
        logits = self.parameterisation.ask(net, diffuse(x0, eps, now), now).output
        return -(cond.vector * logits.log_softmax(1)).sum(1)
